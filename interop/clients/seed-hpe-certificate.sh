# The lines of HPE's page for the certificate of a user, as they are printed there.
# What the first two ask for comes on standard input.
set -eu
u=student
openssl req -new -newkey rsa:2048 -nodes -keyout ${u}.key -out ${u}.csr <answers
openssl ca -config ${u}.cnf \
           -policy policy_anything \
           -out ${u}.crt -in ${u}.csr <yes
