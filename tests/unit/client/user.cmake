# The user's half: certificates made at test time; the signer's parser judges our requests.
add_library(aw_client_authority STATIC ${CMAKE_CURRENT_LIST_DIR}/authority.c)
target_include_directories(aw_client_authority PUBLIC ${CMAKE_CURRENT_LIST_DIR})
target_link_libraries(aw_client_authority PUBLIC aw_client PkgConfig::CMOCKA)

aw_unit_test(chain aw_client_authority aw_csr)
aw_unit_test(store aw_client_authority)
target_sources(test_store PRIVATE store_place.c)
aw_unit_test(store_list aw_client_authority)
target_sources(test_store_list PRIVATE store_place.c)
aw_unit_test(challenge aw_client_authority)
aw_unit_test(options aw_client_authority)
aw_unit_test(client_config aw_client_authority)
aw_unit_test(renewal_config aw_client_authority)
aw_unit_test(whoami aw_client_authority aw_client_support)

# The whole command; its commands are the program's own sources.
aw_unit_test(certonly aw_client_authority aw_client_support)
target_sources(test_certonly PRIVATE certonly_world.c ${PROJECT_SOURCE_DIR}/client/cmd_certonly.c)
target_link_options(test_certonly PRIVATE -Wl,--wrap=chain_key_generate)
aw_unit_test(own_key aw_client_authority)
aw_unit_test(resume aw_client_authority aw_client_support)
target_sources(test_resume PRIVATE certonly_world.c ${PROJECT_SOURCE_DIR}/client/cmd_certonly.c)
target_link_options(test_resume PRIVATE -Wl,--wrap=chain_key_generate)
