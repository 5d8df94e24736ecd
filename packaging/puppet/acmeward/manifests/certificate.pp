# A certificate whose key is made on this host and stays here; the central host orders it.
#
# @param names host names and addresses
# @param order the command that takes a request and prints the chain: with ssh, as a rule
# @param days it is ordered anew when it is not good for that long
# @param reload command for the server that uses it
define acmeward::certificate (
  Array[String[1], 1] $names,
  Array[String[1], 1] $order,
  Integer[1] $days         = 20,
  Optional[String] $reload = undef,
) {
  include acmeward::script

  $key = "${acmeward::script::folder}/${title}.key"
  $chain = "${acmeward::script::folder}/${title}.pem"
  exec { "acmeward: certificate ${title}":
    command => [$acmeward::script::path, 'run', $key, $chain, String($days)] + $names + ['--'] + $order,
    unless  => [[$acmeward::script::path, 'good', $key, $chain, String($days)] + $names],
    require => File[$acmeward::script::path],
  }

  if $reload {
    exec { "acmeward: reload for ${title}":
      command     => $reload,
      path        => ['/usr/sbin', '/usr/bin', '/sbin', '/bin'],
      refreshonly => true,
      subscribe   => Exec["acmeward: certificate ${title}"],
    }
  }
}
