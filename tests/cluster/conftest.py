"""Services on the scripted engine, for the tests of studies on a cluster."""

from tests.core.conftest import make_services as make_services
