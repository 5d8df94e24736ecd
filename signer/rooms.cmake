# The rooms that know neither policy, token, log nor ledger: what a request, a URL, a CSR and a JWS
# are. Pure functions of their input.
add_library(aw_signer_rooms STATIC
    certificate.c
    csr.c
    csr_der.c
    csr_key.c
    csr_read.c
    csr_rsa.c
    csr_write.c
    jws.c
    request.c
    url.c)
target_link_libraries(aw_signer_rooms PUBLIC aw_common PkgConfig::CRYPTO)
