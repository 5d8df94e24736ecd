# Debian packages by CPack, one a component. packaging/make-packages.sh is the way to call it.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_VENDOR acmeward)
set(CPACK_PACKAGE_CONTACT "acmeward maintainers <acmeward@example.edu>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "") # each component has its own first line
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_ALL client admin signer relay)
set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/packaging/deb/compress.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(ACMEWARD_RELEASE 1 CACHE STRING "Debian revision of the packages")
set(CPACK_DEBIAN_PACKAGE_RELEASE ${ACMEWARD_RELEASE})
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS OFF)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_CLIENT_PACKAGE_NAME acmeward)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SECTION net)
set(CPACK_DEBIAN_CLIENT_PACKAGE_DEPENDS ca-certificates)
set(CPACK_DEBIAN_CLIENT_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/packaging/deb/client/postinst;${PROJECT_SOURCE_DIR}/packaging/deb/client/prerm;${PROJECT_SOURCE_DIR}/packaging/deb/client/postrm)
set(CPACK_DEBIAN_CLIENT_PACKAGE_SUGGESTS "openssh-client, pkcs11-provider")
set(CPACK_COMPONENT_CLIENT_DESCRIPTION
    "ACME client whose account keys stay in a token
acmeward gets certificates from an ACME CA (RFC 8555). Requests are
authorized and signed by acmeward-signer, as its policies allow: on this
host there is no account key and no External Account Binding key.")

set(CPACK_DEBIAN_ADMIN_PACKAGE_NAME acmeward-admin)
set(CPACK_DEBIAN_ADMIN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_ADMIN_PACKAGE_DEPENDS "ca-certificates, publicsuffix")
set(CPACK_COMPONENT_ADMIN_DESCRIPTION
    "key ceremonies, policies and records of acmeward-signer
acmeward-admin asks a running signer for what concerns keys and accounts,
and reads policies and the audit log by itself: it tests policies in the
CI of a repository and verifies records on any host.")

set(CPACK_DEBIAN_SIGNER_PACKAGE_NAME acmeward-signer)
set(CPACK_DEBIAN_SIGNER_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_SIGNER_PACKAGE_DEPENDS
    "acmeward-admin (= ${PROJECT_VERSION}-${ACMEWARD_RELEASE}), publicsuffix, systemd | systemd-sysusers, systemd | systemd-tmpfiles")
set(CPACK_DEBIAN_SIGNER_PACKAGE_SUGGESTS softhsm2)
set(CPACK_COMPONENT_SIGNER_DESCRIPTION
    "signs ACME requests with keys in a PKCS#11 token, as policies allow
acmeward-signer keeps External Account Binding keys and ACME account keys
in a token, decides for each application which names it may order, puts
every decision on a tamper-evident record, and signs.")
set(CPACK_DEBIAN_SIGNER_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/packaging/deb/postinst;${PROJECT_SOURCE_DIR}/packaging/deb/prerm;${PROJECT_SOURCE_DIR}/packaging/deb/postrm)

set(CPACK_DEBIAN_RELAY_PACKAGE_NAME acmeward-relay)
set(CPACK_DEBIAN_RELAY_PACKAGE_SECTION net)
set(CPACK_DEBIAN_RELAY_PACKAGE_DEPENDS
    "ca-certificates, procps, systemd | systemd-sysusers, systemd | systemd-tmpfiles")
set(CPACK_DEBIAN_RELAY_PACKAGE_SUGGESTS "openssh-client")
set(CPACK_COMPONENT_RELAY_DESCRIPTION
    "ACME server for unmodified clients, before acmeward-signer
acmeward-relay serves RFC 8555 over HTTPS to any ACME client and orders
at the CA for it. What it asks acmeward-signer to sign it has to prove
with what the client itself signed.")
set(CPACK_DEBIAN_RELAY_PACKAGE_CONTROL_EXTRA
    ${PROJECT_SOURCE_DIR}/packaging/deb/relay/postinst;${PROJECT_SOURCE_DIR}/packaging/deb/relay/prerm;${PROJECT_SOURCE_DIR}/packaging/deb/relay/postrm)
include(CPack)
