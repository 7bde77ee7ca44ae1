"""What an alert means, as pure functions: its language (`language`), and what a tick does to it (`levels`)."""
