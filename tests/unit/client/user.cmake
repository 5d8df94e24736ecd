# The user's half: certificates made at test time; the signer's parser judges our requests.
add_library(aw_client_authority STATIC ${CMAKE_CURRENT_LIST_DIR}/authority.c)
target_include_directories(aw_client_authority PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(aw_client_authority PUBLIC aw_client PkgConfig::CMOCKA)

aw_unit_test(chain aw_client_authority aw_csr)
aw_unit_test(store aw_client_authority)
aw_unit_test(challenge aw_client_authority)
aw_unit_test(options aw_client_authority)
aw_unit_test(client_config aw_client_authority)
