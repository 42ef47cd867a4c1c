#!/bin/sh
# Fetches the emulators that tests use into .tools/emulators: DynamoDB Local and ElasticMQ
# by Maven; ministack, Crucible for BigQuery, fakesnow for Snowflake and ClickHouse's engine,
# chdb, by pip. What is there already and is pinned to the same version stays.
set -eu
cd "$(dirname "$0")"
to=$(cd ../../.. && pwd)/.tools/emulators
mkdir -p "$to"

fetch() { # name, pin, program that is needed, command
  name=$1 pin=$2 program=$3
  shift 3
  if [ -f "$to/$name/pin" ] && cmp -s "$pin" "$to/$name/pin"; then return; fi
  if ! command -v "$program" >/dev/null 2>&1; then
    echo "NOT FETCHED: $name, for there is no $program; the tests that need it are skipped" >&2
    return
  fi
  rm -rf "${to:?}/$name"
  if "$@" >"$to/$name.log" 2>&1 || "$@" >"$to/$name.log" 2>&1; then # a registry may hiccup
    cp "$pin" "$to/$name/pin"
  else
    echo "NOT FETCHED: $name; the tests that need it are skipped: $(tail -n 2 "$to/$name.log" | cut -c -300)" >&2
  fi
}

jars() { mvn -q -B -f "$1/pom.xml" dependency:copy-dependencies -DoutputDirectory="$to/$1" -DincludeScope=runtime; }
wheels() { python3 -m venv "$to/$1" && "$to/$1/bin/pip" install -q -r "$2"; }

engine() { python3 -m venv "$to/chdb" && "$to/chdb/bin/pip" install -q --no-deps -r chdb.txt; }

fetch dynamodb dynamodb/pom.xml mvn jars dynamodb
fetch elasticmq elasticmq/pom.xml mvn jars elasticmq
fetch ministack requirements.txt python3 wheels ministack requirements.txt
fetch bigquery bigquery/requirements.txt python3 wheels bigquery bigquery/requirements.txt
fetch snowflake snowflake/requirements.txt python3 wheels snowflake snowflake/requirements.txt
fetch chdb chdb.txt python3 engine
