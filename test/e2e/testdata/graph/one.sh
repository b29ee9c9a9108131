# One container, with a published port.
container web
export CAP_ARGS='{"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}'
cnitool add ports /run/netns/web >/dev/null
