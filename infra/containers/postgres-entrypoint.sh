#!/bin/sh
# Stands in for the entry point of the postgres image: makes a database at the first start, and
# fills it from /docker-entrypoint-initdb.d.
set -e
data=/var/lib/postgresql/data
if [ ! -e $data/PG_VERSION ]; then
  mkdir -p $data /run/postgresql
  chown -R postgres /var/lib/postgresql /run/postgresql
  echo "$POSTGRES_PASSWORD" >/tmp/password
  su postgres -c "initdb -D $data -A scram-sha-256 --pwfile /tmp/password -E UTF8 --locale C" >/dev/null
  rm /tmp/password
  echo "host all all all scram-sha-256" >>$data/pg_hba.conf
  export PGPASSWORD="$POSTGRES_PASSWORD"
  su postgres -c "pg_ctl -D $data -w -o '-c listen_addresses=' start" >/dev/null
  su postgres -c "createdb -h /var/run/postgresql $POSTGRES_DB"
  for file in /docker-entrypoint-initdb.d/*.sql; do
    su postgres -c "psql -h /var/run/postgresql -v ON_ERROR_STOP=1 -q -d $POSTGRES_DB -f $file"
  done
  su postgres -c "pg_ctl -D $data -w -m fast stop" >/dev/null
fi
exec su postgres -c "exec postgres -D $data -c listen_addresses='*'"
