#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# DevStack sources this in each of its phases: plugin.sh stack PHASE, plugin.sh unstack, plugin.sh clean

_XTRACE_MOGAN_HIL=$(set +o | grep xtrace)
set +o xtrace

MOGAN_HIL_URL=http://$MOGAN_HIL_HOST:$MOGAN_HIL_PORT
MOGAN_HIL_RACK=$MOGAN_HIL_STATE_PATH/lab.yaml

# Run one of our commands with our configuration.
function _mogan_hil {
    local command=$1
    shift
    "$(get_python_exec_prefix)/$command" --config-file "$MOGAN_HIL_CONF" "$@"
}

function is_mogan_hil_enabled {
    is_service_enabled mogan-hil-api || is_service_enabled mogan-hil-conductor
}

function install_mogan_hil {
    setup_develop "$MOGAN_HIL_DIR" "$MOGAN_HIL_EXTRAS,$DATABASE_TYPE"
}

function configure_mogan_hil {
    sudo install -d -o "$STACK_USER" -m 0755 "$MOGAN_HIL_CONF_DIR"
    sudo install -d -o "$STACK_USER" -m 0700 "$MOGAN_HIL_STATE_PATH"
    rm -f "$MOGAN_HIL_CONF"
    # It will have passwords.
    install -m 0600 /dev/null "$MOGAN_HIL_CONF"

    iniset "$MOGAN_HIL_CONF" DEFAULT debug "$ENABLE_DEBUG_LOG_LEVEL"
    iniset "$MOGAN_HIL_CONF" DEFAULT host "$(hostname -s)"
    iniset "$MOGAN_HIL_CONF" DEFAULT state_path "$MOGAN_HIL_STATE_PATH"
    iniset_rpc_backend mogan_hil "$MOGAN_HIL_CONF"
    iniset "$MOGAN_HIL_CONF" database connection "$(database_connection_url mogan_hil)"

    iniset "$MOGAN_HIL_CONF" api host "$MOGAN_HIL_LISTEN_ADDRESS"
    iniset "$MOGAN_HIL_CONF" api port "$MOGAN_HIL_PORT"
    iniset "$MOGAN_HIL_CONF" api workers "$MOGAN_HIL_WORKERS"
    iniset "$MOGAN_HIL_CONF" api public_endpoint "$MOGAN_HIL_URL"
    iniset "$MOGAN_HIL_CONF" network segments "$MOGAN_HIL_SEGMENTS"

    iniset "$MOGAN_HIL_CONF" auth strategy keystone
    configure_keystone_authtoken_middleware "$MOGAN_HIL_CONF" mogan_hil
    # Each process remembers tokens itself, and needs no client of memcached for it.
    inidelete "$MOGAN_HIL_CONF" keystone_authtoken memcached_servers
    iniset "$MOGAN_HIL_CONF" keystone_authtoken www_authenticate_uri "$KEYSTONE_SERVICE_URI"
    iniset "$MOGAN_HIL_CONF" keystone_authtoken region_name "$REGION_NAME"
}

# The account that tokens are checked with, and the place in the catalog.
function create_mogan_hil_accounts {
    create_service_user mogan_hil
    get_or_create_service mogan_hil baremetal-isolation "Bare-metal isolation"
    get_or_create_endpoint baremetal-isolation "$REGION_NAME" \
        "$MOGAN_HIL_URL/v1" "$MOGAN_HIL_URL/v1" "$MOGAN_HIL_URL/v1"
}

# A new database at each run, as for other services. Keys stay: whoever has a secret under them can still read it.
function init_mogan_hil {
    recreate_database mogan_hil
    _mogan_hil mogan-hil-manage db upgrade
    if [[ ! -e $MOGAN_HIL_STATE_PATH/secrets.keys ]]; then
        _mogan_hil mogan-hil-manage secrets create
    fi
    _mogan_hil mogan-hil-status upgrade check
}

function start_mogan_hil {
    local bin service
    bin=$(get_python_exec_prefix)
    # Not behind Apache: it would take the %2F out of the names of ports.
    for service in mogan-hil-api mogan-hil-conductor; do
        run_process "$service" "$bin/$service --config-file $MOGAN_HIL_CONF"
    done
    if is_service_enabled mogan-hil-api; then
        wait_for_service "$SERVICE_TIMEOUT" "$MOGAN_HIL_URL/healthcheck" ||
            die "$LINENO" "mogan-hil-api does not answer at $MOGAN_HIL_URL"
    fi
}

function stop_mogan_hil {
    stop_process mogan-hil-api
    stop_process mogan-hil-conductor
}

# A switch, and machines that are network namespaces: eth0 of PREFIX-node1 is cabled to the port PREFIX1.
function create_mogan_hil_lab {
    local manager number port
    sudo ovs-vsctl --may-exist add-br "$MOGAN_HIL_LAB_BRIDGE"
    if [[ $MOGAN_HIL_LAB_OVSDB == tcp:* ]]; then
        # tcp:ADDRESS:PORT is ptcp:PORT:ADDRESS for the one who listens.
        manager=ptcp:${MOGAN_HIL_LAB_OVSDB##*:}:$(cut -d : -f 2 <<<"$MOGAN_HIL_LAB_OVSDB")
        if ! sudo ovs-vsctl get-manager | grep -qxF "$manager"; then
            sudo ovs-vsctl -- --id=@hil create Manager "target=\"$manager\"" \
                -- add Open_vSwitch . manager_options @hil
        fi
    fi
    for ((number = 1; number <= MOGAN_HIL_LAB_NODES; number++)); do
        port=$MOGAN_HIL_LAB_PREFIX$number
        if ! ip link show "$port" >/dev/null 2>&1; then
            sudo ip netns delete "$MOGAN_HIL_LAB_PREFIX-node$number" 2>/dev/null || true
            sudo ip netns add "$MOGAN_HIL_LAB_PREFIX-node$number"
            sudo ip link add "$port" type veth peer name eth0 netns "$MOGAN_HIL_LAB_PREFIX-node$number"
        fi
        sudo ip -n "$MOGAN_HIL_LAB_PREFIX-node$number" link set eth0 address "$(_mogan_hil_lab_mac "$number")" up
        sudo ip link set "$port" up
        sudo ovs-vsctl --may-exist add-port "$MOGAN_HIL_LAB_BRIDGE" "$port"
    done
}

function _mogan_hil_lab_mac {
    printf '02:00:00:00:%02x:%02x' $(($1 / 256)) $(($1 % 256))
}

function write_mogan_hil_inventory {
    local number
    echo "switches:"
    echo "  lab: {driver: openvswitch, options: {endpoint: \"$MOGAN_HIL_LAB_OVSDB\", bridge: $MOGAN_HIL_LAB_BRIDGE}}"
    echo "nodes:"
    for ((number = 1; number <= MOGAN_HIL_LAB_NODES; number++)); do
        cat <<EOF
  node$number:
    resource_class: $MOGAN_HIL_LAB_RESOURCE_CLASS
    obm: {driver: fake, options: {}}
    nics: {eth0: {mac: "$(_mogan_hil_lab_mac "$number")", port: lab/$MOGAN_HIL_LAB_PREFIX$number}}
EOF
    done
}

function register_mogan_hil_lab {
    write_mogan_hil_inventory >"$MOGAN_HIL_RACK"
    "$(get_python_exec_prefix)/mogan-hil-inventory" apply --cloud "$MOGAN_HIL_LAB_CLOUD" "$MOGAN_HIL_RACK"
}

function remove_mogan_hil_lab {
    local namespace
    for namespace in $(ip netns list | grep -o "^$MOGAN_HIL_LAB_PREFIX-node[0-9]*"); do
        sudo ip link delete "$MOGAN_HIL_LAB_PREFIX${namespace##*-node}" || true
        sudo ip netns delete "$namespace" || true
    done
    sudo ovs-vsctl --if-exists del-br "$MOGAN_HIL_LAB_BRIDGE" || true
}

function configure_mogan_hil_tempest {
    iniset "$TEMPEST_CONFIG" service_available mogan_hil True
    iniset "$TEMPEST_CONFIG" mogan_hil resource_class "$MOGAN_HIL_LAB_RESOURCE_CLASS"
}

# clean.sh also removes what only a run that failed half-way has left.
function cleanup_mogan_hil {
    if [[ $MOGAN_HIL_LAB == True ]]; then
        remove_mogan_hil_lab
    fi
    sudo rm -rf "$MOGAN_HIL_STATE_PATH" "$MOGAN_HIL_CONF_DIR"
}

if is_mogan_hil_enabled; then
    case $1:${2:-} in
        stack:pre-install)
            if [[ $MOGAN_HIL_LAB == True ]] && is_ubuntu; then
                install_package openvswitch-switch
            elif [[ $MOGAN_HIL_LAB == True ]]; then
                install_package openvswitch
                start_service openvswitch
            fi
            ;;
        stack:install)
            echo_summary "Installing mogan_hil"
            install_mogan_hil
            ;;
        stack:post-config)
            echo_summary "Configuring mogan_hil"
            configure_mogan_hil
            create_mogan_hil_accounts
            init_mogan_hil
            ;;
        stack:extra)
            echo_summary "Starting mogan_hil"
            start_mogan_hil
            if [[ $MOGAN_HIL_LAB == True ]]; then
                create_mogan_hil_lab
                register_mogan_hil_lab
            fi
            ;;
        stack:test-config)
            if is_service_enabled tempest; then
                configure_mogan_hil_tempest
            fi
            ;;
        unstack:)
            stop_mogan_hil
            if [[ $MOGAN_HIL_LAB == True ]]; then
                remove_mogan_hil_lab
            fi
            ;;
        clean:)
            cleanup_mogan_hil
            ;;
    esac
fi

$_XTRACE_MOGAN_HIL
