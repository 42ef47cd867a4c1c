#!/bin/sh
# Stands in for the entry point of public.ecr.aws/lambda/provided: the command is the handler, and
# without a Runtime API the emulator of one begins.
[ $# -eq 1 ] || { echo "entrypoint requires the handler name to be the first argument" >&2; exit 142; }
export _HANDLER="$1"
[ -n "$AWS_LAMBDA_RUNTIME_API" ] || exec /usr/local/bin/aws-lambda-rie /var/runtime/bootstrap
exec /var/runtime/bootstrap
