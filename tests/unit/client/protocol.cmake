# The protocol half: an HTTPS server and a signer, both scripted, for tests of http, acme and issue.
pkg_check_modules(SSL REQUIRED IMPORTED_TARGET libssl>=3.0)
add_library(aw_client_support STATIC
    ${CMAKE_CURRENT_LIST_DIR}/issue_scene.c
    ${CMAKE_CURRENT_LIST_DIR}/scripted_ca.c
    ${CMAKE_CURRENT_LIST_DIR}/scripted_signer.c)
target_include_directories(aw_client_support PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(aw_client_support PUBLIC
    aw_client_protocol PkgConfig::SSL PkgConfig::CMOCKA Threads::Threads)

aw_unit_test(http aw_client_support)
aw_unit_test(http_roots aw_client_support)
aw_unit_test(acme aw_client_support)
aw_unit_test(acme_session aw_client_support)
aw_unit_test(signer_link aw_client_support)
aw_unit_test(signer_behalf aw_client_support)
aw_unit_test(ssh aw_client_protocol)
aw_unit_test(ssh_url aw_client_protocol)
aw_unit_test(issue aw_client_support)
aw_unit_test(issue_open aw_client_support)
aw_unit_test(issue_answers aw_client_support)
