# The generic requests of HPE's page under "Use", "Disconnect a session" and the
# MySession tip, by two callers, and its curl line for a licence. admin and student
# are NAME:PASSWORD, bmc_ip is the device.
set -eu
section() { printf '\n=== %s\n' "$1"; }
login() {
	curl --silent --insecure --include --request POST --header 'Content-Type: application/json' \
		--data "{\"UserName\": \"${1%%:*}\", \"Password\": \"${1#*:}\"}" "https://${bmc_ip}/redfish/v1/SessionService/Sessions/" |
		awk '/^Location/ || /^X-Auth-Token/ {print $NF}' | sort | tr '\r' ' '
}
get() { curl --silent --insecure --write-out '\n%{http_code}\n' --header "X-Auth-Token: $1" "$2"; }
delete() { curl --silent --insecure --write-out '\n%{http_code}\n' --request DELETE --header "X-Auth-Token: $1" "$2"; }

AdminTokenAndUrl=( $(login "$admin") )
StudentTokenAndUrl=( $(login "$student") )

section tokens
printf '%s\n' "${AdminTokenAndUrl[@]}" "${StudentTokenAndUrl[@]}"
section own
get "${AdminTokenAndUrl[0]}" "${AdminTokenAndUrl[1]}"
section list
get "${AdminTokenAndUrl[0]}" "https://${bmc_ip}/redfish/v1/SessionService/Sessions/"
section forbidden
delete "${StudentTokenAndUrl[0]}" "${AdminTokenAndUrl[1]}"
section delete
delete "${AdminTokenAndUrl[0]}" "${StudentTokenAndUrl[1]}"
section dead
get "${StudentTokenAndUrl[0]}" "https://${bmc_ip}/redfish/v1/Systems/"
section logout
delete "${AdminTokenAndUrl[0]}" "${AdminTokenAndUrl[1]}"
