# What signer and client have in common. The other classes include it.
#
# @param folder of the configuration
# @param owner of its files
class acmeward (
  String $folder = '/etc/acmeward',
  String $owner  = 'root',
) {
  file { $folder:
    ensure => directory,
    owner  => $owner,
    mode   => '0755',
  }
}
