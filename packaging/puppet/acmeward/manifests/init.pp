# What signer and client have in common. The other classes include it.
#
# @param folder of the configuration
# @param owner of its files
# @param group which reads signer.yaml and policies: the signer, and administrators
class acmeward (
  String $folder = '/etc/acmeward',
  String $owner  = 'root',
  String $group  = 'acmeward-config',
) {
  file { $folder:
    ensure => directory,
    owner  => $owner,
    mode   => '0755',
  }
}
