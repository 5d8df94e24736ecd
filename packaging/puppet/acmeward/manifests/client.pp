# client.yaml (docs/client.md) and the package.
#
# @param config what client.yaml holds
# @param packages to install; []: none
class acmeward::client (
  Hash $config            = {},
  Array[String] $packages = ['acmeward'],
) {
  include acmeward

  package { $packages: ensure => installed }

  file { "${acmeward::folder}/client.yaml":
    owner   => $acmeward::owner,
    mode    => '0644',
    content => epp('acmeward/document.yaml.epp', { 'document' => $config }),
    require => Package[$packages],
  }
}
