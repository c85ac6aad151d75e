"""The smart operations centre (智慧运营中心): what happens by the centre's clock and not by a reading's time."""
