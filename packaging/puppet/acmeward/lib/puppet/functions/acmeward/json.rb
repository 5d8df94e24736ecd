# frozen_string_literal: true

require 'json'

# A value as JSON, which is YAML too. Puppet has no such function without another module.
Puppet::Functions.create_function(:'acmeward::json') do
  # @param value what a YAML file is to hold
  # @return [String] on several lines
  dispatch :json do
    param 'Hash', :value
    return_type 'String'
  end

  def json(value)
    JSON.pretty_generate(value)
  end
end
