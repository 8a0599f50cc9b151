# SPDX-License-Identifier: Apache-2.0
# What stands for DevStack's functions while its plugin is tested. Each call is a line of $CALLS, its words by tabs.
# Accounts and the catalog are made by the test between two phases; everything else happens.
# shellcheck shell=bash
set -o errexit

function _note {
    local IFS=$'\t'
    echo "$*" >>"$CALLS"
}

for _name in define_plugin plugin_requires enable_service install_package start_service setup_develop echo_summary \
    create_service_user get_or_create_service get_or_create_endpoint; do
    eval "function $_name { _note $_name \"\$@\"; }"
done

function is_service_enabled {
    [[ ",$ENABLED_SERVICES," == *,$1,* ]];
}

function is_ubuntu {
    [[ $DISTRO == ubuntu ]];
}

function get_python_exec_prefix {
    echo "$BIN";
}

function database_connection_url {
    echo "sqlite:///$DATA_DIR/$1.db";
}

function die {
    echo "$@" >&2
    exit 1
}

function recreate_database {
    _note recreate_database "$@"
    rm -f "$DATA_DIR/$1.db"*
}

function iniset {
    _note iniset "$@"
    # oslo.config takes the last of what stands there twice.
    printf '[%s]\n%s = %s\n' "$2" "$3" "$4" >>"$1"
}

function inidelete {
    _note inidelete "$@"
    sed -i "/^$3 *=/d" "$1"
}

function iniset_rpc_backend {
    if [[ -n $TRANSPORT_URL ]]; then
        iniset "$2" DEFAULT transport_url "$TRANSPORT_URL"
    fi
}

function configure_keystone_authtoken_middleware {
    iniset "$1" keystone_authtoken auth_type password
    iniset "$1" keystone_authtoken interface public
    iniset "$1" keystone_authtoken auth_url "$KEYSTONE_SERVICE_URI"
    iniset "$1" keystone_authtoken username "$2"
    iniset "$1" keystone_authtoken password "$SERVICE_PASSWORD"
    iniset "$1" keystone_authtoken user_domain_name Default
    iniset "$1" keystone_authtoken project_name "$SERVICE_PROJECT_NAME"
    iniset "$1" keystone_authtoken project_domain_name Default
    iniset "$1" keystone_authtoken memcached_servers localhost:11211
}

function run_process {
    is_service_enabled "$1" || return 0
    _note run_process "$@"
    # shellcheck disable=SC2086 # it is several words
    setsid $2 >"$DATA_DIR/$1.log" 2>&1 </dev/null &
    echo $! >"$DATA_DIR/$1.pid"
}

function stop_process {
    _note stop_process "$@"
    if [[ -e $DATA_DIR/$1.pid ]]; then
        local pid
        pid=$(cat "$DATA_DIR/$1.pid")
        kill "$pid" || true
        # As systemctl does. One that nobody waits for has a number for longer than a program.
        while [[ -e /proc/$pid/exe ]]; do
            sleep 0.1
        done
        rm "$DATA_DIR/$1.pid"
    fi
}

function wait_for_service {
    local address=${2#http://} tries
    _note wait_for_service "$@"
    address=${address%%/*}
    for ((tries = 0; tries < $1 * 10; tries++)); do
        if (exec 3<>"/dev/tcp/${address%:*}/${address#*:}") 2>/dev/null; then
            return 0
        fi
        sleep 0.1
    done
    return 1
}

function sudo {
    _note sudo "$@"
    "$@"
}

# The switch of the test has a database and a network namespace of its own, and no kernel module.
function ovs-vsctl {
    if [[ -z $OVSDB ]]; then
        _note ovs-vsctl "$@"
    elif [[ $2 == add-br ]]; then
        command ovs-vsctl --timeout=90 --db="$OVSDB" "$@" -- set bridge "$3" datapath_type=netdev
    else
        command ovs-vsctl --timeout=90 --db="$OVSDB" "$@"
    fi
}

function ip {
    if [[ -z $OVSDB ]]; then
        _note ip "$@"
        [[ "$1 $2" != "link show" ]]
    elif [[ $1 == netns || $1 == -n ]]; then
        command ip "$@"
    else
        command ip -n "$OVS_NAMESPACE" "$@"
    fi
}

# shellcheck disable=SC1091 # checked by themselves
source "$PLUGIN/settings"
# "call FUNCTION" is no phase: it runs one function of the plugin.
# shellcheck disable=SC1091
source "$PLUGIN/plugin.sh" "$@"
if [[ $1 == call ]]; then
    "$2"
fi
