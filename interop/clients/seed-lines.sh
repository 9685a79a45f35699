# The curl lines of HPE's page "Redfish authentication and sessions", as a
# reader finds them there. The test puts an address in place of {IP}, a name
# and password in place of username:password, and a path in place of
# /tmp/data.json, and changes nothing else.
section() { printf '\n=== %s\n' "$1"; }

section anonymous
curl --include --insecure     \
     --location https://{IP}/redfish/v1/Systems/

section basic
curl --include --insecure     \
     --user username:password \
     --location https://{IP}/redfish/v1/Systems/

section string
TokenAndUrl=$(curl --silent --location --insecure --include \
              --request POST  --header 'Content-Type: application/json' \
              --data '@/tmp/data.json' \
              "https://${bmc_ip}/redfish/v1/SessionService/Sessions/" | \
              awk  '/^Location/ || /^X-Auth-Token/ {print $NF}' | \
              sort | tr '\r' ' ')
printf '%s\n' "$TokenAndUrl"
StringForm=$TokenAndUrl

section array
TokenAndUrl=( $(curl --silent --location --insecure --include \
              --request POST  --header 'Content-Type: application/json' \
              --data '@/tmp/data.json' \
              "https://${bmc_ip}/redfish/v1/SessionService/Sessions/" | \
              awk  '/^Location/ || /^X-Auth-Token/ {print $NF}' | \
              sort | tr  '\r' ' '))
printf '%s\n' "${TokenAndUrl[@]}"

section use
curl --insecure \
     --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     "${TokenAndUrl[1]}" | \
     jq

# The page gives the next two as generic requests.
section list
curl --silent --insecure --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     "https://${bmc_ip}/redfish/v1/SessionService/Sessions/"

section delete
curl --silent --insecure --include --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     --request DELETE "${TokenAndUrl[1]}"
set -- $StringForm
curl --silent --insecure --include --header "X-Auth-Token: $1" --request DELETE "$2"

section dead
curl --silent --insecure --include --header "X-Auth-Token: ${TokenAndUrl[0]}" \
     "https://${bmc_ip}/redfish/v1/Systems/"
