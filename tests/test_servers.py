"""The servers that other tests stand on."""

import psycopg
import redis

from tests.servers import PostgresServer, RedisServer


def test_each_database_is_new_and_empty(postgres: PostgresServer, postgres_url: str) -> None:
    """Two tests never see each other's tables."""
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE here (one integer)")
    with psycopg.connect(postgres.database()) as connection:
        found = connection.execute("SELECT 1 FROM pg_tables WHERE tablename = 'here'").fetchone()
    assert found is None


def test_a_killed_redis_comes_back_on_its_port(redis_server: RedisServer) -> None:
    """With its password and without its keys."""
    client = redis.Redis.from_url(redis_server.url, password=redis_server.password)
    client.set("key", "value")
    redis_server.kill()
    redis_server.start()
    assert client.get("key") is None
    client.close()
