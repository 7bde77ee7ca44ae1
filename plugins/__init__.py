"""What extends the hub: price sources in `feeds`, what people can ask in `commands`."""
