"""Postgres, Redis, the embedded ones, migrations, secrets, backup."""
