# The two lines of HPE's page that make the text of a JSON string of certfile.crt,
# as they are printed there; dos2unix in the second one is not on every machine.
set -eu
sed -E ':a;N;$!ba;s/\r{0,1}\n/\\n/g' certfile.crt > certfile.txt
mv certfile.txt sed.txt
if command -v dos2unix >/dev/null; then dos2unix -q certfile.crt; else sed -i 's/\r$//' certfile.crt; fi
awk '{printf "%s\\n", $0}' certfile.crt > certfile.txt
mv certfile.txt awk.txt
