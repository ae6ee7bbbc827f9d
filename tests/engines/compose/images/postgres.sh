#!/bin/sh
# POSTGRES_DB, POSTGRES_PASSWORD_FILE and /docker-entrypoint-initdb.d make the first database, as in the image that this
# stands for. Statements there stand on one line each.
set -eu
data=/var/lib/postgresql/data
export PATH="/usr/lib/postgresql/15/bin:$PATH"
as_postgres() { setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }

chown postgres "$data"
mkdir -p /var/run/postgresql && chown postgres /var/run/postgresql
if [ ! -s "$data/PG_VERSION" ]; then
  as_postgres initdb --pgdata "$data" --username postgres --pwfile "$POSTGRES_PASSWORD_FILE" \
    --auth-local trust --auth-host scram-sha-256 --encoding UTF8 >/dev/null
  echo "host all all all scram-sha-256" >>"$data/pg_hba.conf"
  echo "CREATE DATABASE \"$POSTGRES_DB\"" | as_postgres postgres --single -D "$data" postgres >/dev/null
  cat /docker-entrypoint-initdb.d/* | as_postgres postgres --single -D "$data" "$POSTGRES_DB" >/dev/null
fi
exec setpriv --reuid=postgres --regid=postgres --init-groups \
  postgres -D "$data" -c listen_addresses='*'
