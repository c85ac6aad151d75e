"""交通物流: speed by zone, geofence, weighbridge, vehicles and dangerous loads in the park."""
