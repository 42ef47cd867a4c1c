#!/bin/sh
# The bootstrap of the container image: the image's command names the function.
case "$_HANDLER" in
  query | sync | email | slack | webhook) exec "/var/task/functions/$_HANDLER" ;;
esac
echo "sqlsentinel: there is no function \"$_HANDLER\": the command is one of query, sync, email, slack, webhook" >&2
exit 64
