#!/bin/sh
# POSTGRES_USER and POSTGRES_PASSWORD_FILE make the first database, as in the image that this stands for.
set -eu
data=/var/lib/postgresql/data
export PATH="/usr/lib/postgresql/15/bin:$PATH"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

chown postgres "$data"
if [ ! -s "$data/PG_VERSION" ]; then
  as_postgres initdb --pgdata "$data" --username "$POSTGRES_USER" --pwfile "$POSTGRES_PASSWORD_FILE" \
    --auth scram-sha-256 --encoding UTF8 >/dev/null
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_USER\"" | as_postgres postgres --single -D "$data" postgres >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups \
  postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
