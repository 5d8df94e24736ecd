# What knows neither policy, token, log nor ledger: what a request, a URL and a JWS are. Pure
# functions of their input.
add_library(aw_request STATIC
    jws.c
    evidence.c
    relay_nonces.c
    relay_request.c
    request.c
    request_relayed.c
    url.c)
target_link_libraries(aw_request PUBLIC aw_csr aw_jose aw_common PkgConfig::CRYPTO)
