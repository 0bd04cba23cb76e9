#!/bin/sh
# One request to the Supervisor's gateway (supervisor.md §5): with a token, every path wants it.
read -r _ path _
status=200
[ -z "$HAB_SUP_GATEWAY_AUTH_TOKEN" ] || status=401
end=$(printf '\r')
while read -r header && [ "$header" != "$end" ]; do
  [ "${header%"$end"}" != "Authorization: Bearer $HAB_SUP_GATEWAY_AUTH_TOKEN" ] || status=200
done
case "$status$path" in
  200/ | 401*) ;;
  200/services/web/default/health) status=$health ;;
  *) status=404 ;;
esac
printf 'HTTP/1.0 %s Answer\r\nContent-Length: 0\r\n\r\n' "$status"
