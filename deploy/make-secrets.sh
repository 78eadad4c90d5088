#!/bin/sh
# Makes the secret files that compose.yaml reads, in deploy/secrets; files that exist are left alone.
# The folder is closed to other users; the files in it are readable, because inside the containers
# they are read by users with other numbers.
set -eu
cd "$(dirname "$0")"
mkdir -p secrets
chmod 700 secrets

password=secrets/postgres_password
url=secrets/database_url
if [ ! -s "$password" ]; then
    rm -f "$url"
    od -An -N24 -tx1 /dev/urandom | tr -d ' \n' >"$password.new"
    chmod 444 "$password.new"
    mv "$password.new" "$password"
fi
if [ ! -s "$url" ]; then
    printf 'postgresql://locum:%s@postgres:5432/locum' "$(cat "$password")" >"$url.new"
    chmod 444 "$url.new"
    mv "$url.new" "$url"
fi
echo "The secrets are in $(pwd)/secrets."
