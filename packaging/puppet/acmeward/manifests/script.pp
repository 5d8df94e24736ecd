# The script that makes keys and requests on a host.
#
# @param path where it is
# @param folder of the certificates
# @param owner of both
class acmeward::script (
  String $path   = '/usr/local/sbin/host-certificate',
  String $folder = '/etc/ssl/acmeward',
  String $owner  = 'root',
) {
  file { $folder:
    ensure => directory,
    owner  => $owner,
    mode   => '0755',
  }

  file { $path:
    owner  => $owner,
    mode   => '0755',
    source => 'puppet:///modules/acmeward/host-certificate',
    links  => follow,
  }
}
