#!/bin/sh
# Makes the files beside it, with OpenSSL 3 and a JDK. Every key is public: for tests only.
# The passphrase of each is "test pass é".
set -eu
cd "$(dirname "$0")"
export PASS='test pass é'
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
legacy='-provider legacy -provider default'

# A CA that signs as `openssl ca` does, with a text dump before the PEM.
openssl ecparam -name prime256v1 -genkey -noout -out "$work/ca.key"
openssl req -x509 -new -key "$work/ca.key" -subj '/C=FR/O=Example/CN=Test CA' -days 36500 -out ca.pem
mkdir "$work/db"; : > "$work/db/index"; echo 1000 > "$work/db/serial"
cat > "$work/ca.cnf" <<CNF
[ca]
default_ca = x
[x]
database = $work/db/index
serial = $work/db/serial
new_certs_dir = $work/db
certificate = ca.pem
private_key = $work/ca.key
default_md = sha256
default_days = 36500
copy_extensions = copy
x509_extensions = client
[client]
basicConstraints = CA:FALSE
extendedKeyUsage = clientAuth
[policy_anything]
commonName = supplied
organizationName = optional
countryName = optional
emailAddress = optional
CNF
openssl ecparam -name prime256v1 -genkey -noout -out plain-sec1.key
openssl req -new -key plain-sec1.key -subj '/C=FR/O=Example/CN=student/emailAddress=student@example.com' \
	-addext 'subjectAltName=DNS:student.example.com,IP:192.0.2.1,email:student@example.com,otherName:1.3.6.1.4.1.311.20.2.3;UTF8:student@example.com' -out student.csr
openssl ca -batch -config "$work/ca.cnf" -policy policy_anything -in student.csr 2>/dev/null | sed 's/$/\r/' > student-dump-crlf.pem
openssl x509 -in student-dump-crlf.pem -out student.pem
openssl x509 -in student.pem -outform DER -out student.der
openssl x509 -in student.pem -trustout -addtrust clientAuth -out student-trusted.pem
openssl req -in student.csr -outform DER -out student-csr.der

# One key in every form.
openssl pkey -in plain-sec1.key -out plain-pkcs8.key
openssl pkey -in plain-sec1.key -outform DER -out plain-pkcs8.der
openssl ec -in plain-sec1.key -aes256 -passout env:PASS -out dek-aes256.key 2>/dev/null
openssl ec -in plain-sec1.key -des3 -passout env:PASS -out dek-des3.key 2>/dev/null
p8() { out=$1; shift; openssl pkcs8 -topk8 -in plain-sec1.key -passout env:PASS -out "$out" "$@"; }
p8 pbes2-aes256.key
p8 pbes2-aes256.der -outform DER
p8 pbes2-des3.key -v2 des3 -v2prf hmacWithSHA1
p8 pbes2-sha512.key -v2 aes-128-cbc -v2prf hmacWithSHA512
p8 pbes2-scrypt.key -scrypt
p8 pbes1-sha1-3des.key -v1 PBE-SHA1-3DES
p8 pbes1-md5-des.key -v1 PBE-MD5-DES $legacy
p8 pbes1-sha1-des.key -v1 PBE-SHA1-DES $legacy
p8 pbes1-sha1-rc2.key -v1 PBE-SHA1-RC2-128 $legacy

# PKCS#12 and PKCS#7.
p12() { out=$1; shift; openssl pkcs12 -export -passout env:PASS -out "$out" "$@"; }
p12 modern.p12 -in student.pem -inkey plain-sec1.key -certfile ca.pem -name student
p12 des3.p12 -in student.pem -inkey plain-sec1.key -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES -macalg sha1
p12 rc2.p12 -in student.pem -inkey plain-sec1.key -legacy
p12 nokeys.p12 -in student.pem -nokeys
openssl pkcs12 -export -passout pass: -in student.pem -inkey plain-sec1.key -out empty.p12
openssl crl2pkcs7 -nocrl -certfile student.pem -certfile ca.pem -out chain.p7b
openssl crl2pkcs7 -nocrl -certfile student.pem -certfile ca.pem -outform DER -out chain.der.p7b
echo text | openssl cms -sign -stream -binary -nodetach -signer student.pem -inkey plain-sec1.key -certfile ca.pem -outform DER -out streamed.ber.p7
rm -f trust.p12 # its passphrase is changeit: the JDK takes ASCII alone
keytool -importcert -noprompt -alias student -file student.pem -storetype PKCS12 -storepass changeit -keystore trust.p12 2>/dev/null
