"""Introspects the service at argv[1] with python3-varlink, which is none of ours."""
import sys

import varlink

with varlink.Client.new_with_address("unix:" + sys.argv[1]) as client:
    assert sorted(client.get_interfaces()) == ["org.example.Test", "org.varlink.service"]

    with client.open("org.varlink.service") as service:
        info = service.GetInfo()
        assert info["vendor"] == "acmeward", info
        assert info["interfaces"] == ["org.varlink.service", "org.example.Test"], info
        description = service.GetInterfaceDescription("org.varlink.service")["description"]
        names = set(varlink.Interface(description).members)
        assert names == {"GetInfo", "GetInterfaceDescription", "InterfaceNotFound",
                         "MethodNotFound", "MethodNotImplemented", "InvalidParameter"}, names
        try:
            service.GetInterfaceDescription("org.example.None")
        except varlink.InterfaceNotFound as error:
            assert error.parameters()["interface"] == "org.example.None"
        else:
            raise AssertionError("an unknown interface was described")

    with client.open("org.example.Test") as test:
        assert test.Ping("h\u00e9 \"\u0001") == {"pong": "h\u00e9 \"\u0001"}
        try:
            test.Fail()
        except varlink.VarlinkError as error:
            assert error.error() == "org.example.Test.Failed", error
            assert error.parameters() == {"why": "asked to"}, error
        else:
            raise AssertionError("Fail did not fail")
