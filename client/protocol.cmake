# The protocol half of the client: HTTPS, ACME, the signer's link, issuance. It writes no files.
add_library(aw_client_protocol STATIC
    ${CMAKE_CURRENT_LIST_DIR}/acme_authorization.c
    ${CMAKE_CURRENT_LIST_DIR}/acme_directory.c
    ${CMAKE_CURRENT_LIST_DIR}/acme_object.c
    ${CMAKE_CURRENT_LIST_DIR}/acme_order.c
    ${CMAKE_CURRENT_LIST_DIR}/acme_problem.c
    ${CMAKE_CURRENT_LIST_DIR}/acme_session.c
    ${CMAKE_CURRENT_LIST_DIR}/http.c
    ${CMAKE_CURRENT_LIST_DIR}/http_error.c
    ${CMAKE_CURRENT_LIST_DIR}/http_fields.c
    ${CMAKE_CURRENT_LIST_DIR}/issue.c
    ${CMAKE_CURRENT_LIST_DIR}/issue_authorize.c
    ${CMAKE_CURRENT_LIST_DIR}/issue_download.c
    ${CMAKE_CURRENT_LIST_DIR}/key.c
    ${CMAKE_CURRENT_LIST_DIR}/own_key.c
    ${CMAKE_CURRENT_LIST_DIR}/signer_call.c
    ${CMAKE_CURRENT_LIST_DIR}/signer_link.c
    ${CMAKE_CURRENT_LIST_DIR}/ssh.c
    ${CMAKE_CURRENT_LIST_DIR}/ssh_arguments.c
    ${CMAKE_CURRENT_LIST_DIR}/ssh_master.c
    ${CMAKE_CURRENT_LIST_DIR}/ssh_turn.c
    ${CMAKE_CURRENT_LIST_DIR}/ssh_url.c
    ${CMAKE_CURRENT_LIST_DIR}/text.c)
target_link_libraries(aw_client_protocol PUBLIC aw_common PkgConfig::CURL PkgConfig::CRYPTO)
