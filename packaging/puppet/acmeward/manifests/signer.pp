# signer.yaml (acmeward-signer.yaml(5)), policies (acmeward-policy(5)) and the packages. The PIN is no
# matter of this class: it stays out of catalogues. The unit takes it from
# /etc/credstore.encrypted/acmeward.pin, with pin_source /run/credentials/acmeward-signer.service/pin.
#
# @param config what signer.yaml holds
# @param policies what policy.d/NAME.yaml hold, by application
# @param packages to install; []: none
# @param admin the program that checks and reloads policies
# @param manage_service have the service run, and restart it when signer.yaml changes: once the token
#   is there
# @param reload have a running signer take changed policies
class acmeward::signer (
  Hash[String[1], Data] $config,
  Hash[String[1], Hash] $policies = {},
  Array[String] $packages         = ['acmeward-signer', 'acmeward-admin'],
  String $admin                   = '/usr/bin/acmeward-admin',
  Boolean $manage_service         = true,
  Boolean $reload                 = $manage_service,
) {
  include acmeward

  $folder = $acmeward::folder
  $check = [$admin, '--config', "${folder}/signer.yaml", 'policy', 'check']

  package { $packages: ensure => installed }

  file { "${folder}/policy.d":
    ensure  => directory,
    owner   => $acmeward::owner,
    group   => $acmeward::group,
    mode    => '2750',
    require => Package[$packages],
  }

  file { "${folder}/signer.yaml":
    owner   => $acmeward::owner,
    group   => $acmeward::group,
    mode    => '0640',
    content => epp('acmeward/document.yaml.epp', { 'document' => $config }),
    require => Package[$packages],
  }

  # In each run, not only after a change: a fault is told until it is mended. Nothing below is done
  # then, and a running signer keeps the policies that it has.
  exec { 'acmeward: check the policies':
    command => $check,
    unless  => [$check],
    require => File["${folder}/signer.yaml", "${folder}/policy.d"],
  }

  $policies.each |String $application, Hash $policy| {
    file { "${folder}/policy.d/${application}.yaml":
      owner   => $acmeward::owner,
      group   => $acmeward::group,
      mode    => '0640',
      content => epp('acmeward/document.yaml.epp', {
        'document' => { 'application' => $application } + $policy,
      }),
      before  => Exec['acmeward: check the policies'],
    }
    if $reload {
      File["${folder}/policy.d/${application}.yaml"] ~> Exec['acmeward: reload the policies']
    }
  }

  if $manage_service {
    service { 'acmeward-signer':
      ensure    => running,
      enable    => true,
      require   => Exec['acmeward: check the policies'],
      subscribe => File["${folder}/signer.yaml"],
    }
  }

  if $reload {
    exec { 'acmeward: reload the policies':
      command     => [$admin, '--config', "${folder}/signer.yaml", 'reload'],
      refreshonly => true,
      require     => Exec['acmeward: check the policies'],
    }
    if $manage_service {
      Service['acmeward-signer'] -> Exec['acmeward: reload the policies']
    }
  }
}
