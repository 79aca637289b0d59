#!/usr/bin/env bash
# Apache Kafka for development and tests: one broker (KRaft) for each region, on this machine.
#
#   deploy/dev/kafka.sh install              fetches it once, outside the clone; needs Java 17 and Maven
#   deploy/dev/kafka.sh path                 where it is
#   deploy/dev/kafka.sh start REGION PORT    starts the region's broker, waits until it answers; PORT+1 is taken too
#   deploy/dev/kafka.sh pid REGION           its process, for tests that kill or freeze it
#   deploy/dev/kafka.sh stop REGION          ends it; what it holds stays
#   deploy/dev/kafka.sh wipe REGION          ends it and drops what it holds
#
# What brokers hold lies under ATOLL_KAFKA_DATA (default ~/.cache/atoll/kafka), a folder for each region.
set -euo pipefail

version="4.1.0"
tools="${ATOLL_TOOLS:-$HOME/.cache/atoll/tools}"
jars="$tools/kafka-$version"
data="${ATOLL_KAFKA_DATA:-$HOME/.cache/atoll/kafka}"

fail() { echo "$*" >&2; exit 1; }

usage() {
    sed -n '2,12s/^# \{0,1\}//p' "$0"
    exit 2
}

install() {
    if [[ -d "$jars" ]]; then
        echo "present: $jars"
        return
    fi
    command -v java >/dev/null || fail "Java is missing: install a JDK or JRE of version 17 or later"
    command -v mvn >/dev/null || fail "Maven is missing: install it, or unpack Kafka's jars to $jars"
    mkdir -p "$tools"
    # Its own folder, and a rename at the end: an interrupted download leaves nothing that looks whole.
    local fetching
    fetching="$(mktemp -d "$tools/fetching.XXXXXX")"
    trap "rm -rf '$fetching'" EXIT
    cat >"$fetching/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>atoll.dev</groupId><artifactId>kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$version</version></dependency>
    <dependency><groupId>org.apache.logging.log4j</groupId><artifactId>log4j-slf4j-impl</artifactId><version>2.24.3</version></dependency>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka-tools</artifactId><version>$version</version></dependency>
  </dependencies>
</project>
POM
    (cd "$fetching" && mvn -q -B dependency:copy-dependencies -DoutputDirectory="$fetching/jars")
    mv "$fetching/jars" "$jars"
    echo "installed: $jars"
}

# The broker's process, if it runs: a number that another process was given since does not count.
running() {
    local pid
    pid="$(cat "$1/pid" 2>/dev/null)" || return 1
    { tr "\0" "\n" <"/proc/$pid/cmdline"; } 2>/dev/null | grep -qxF "$1/server.properties" || return 1
    echo "$pid"
}

settings() {
    cat <<SETTINGS
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:$(($2 + 1))
listeners=PLAINTEXT://127.0.0.1:$2,CONTROLLER://127.0.0.1:$(($2 + 1))
controller.listener.names=CONTROLLER
log.dirs=$1/log
# Atoll makes its own topics, and checks them.
auto.create.topics.enable=false
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
# Short retention, set on a topic, shows within a test.
log.retention.check.interval.ms=1000
log.segment.delete.delay.ms=100
SETTINGS
}

logging() {
    cat <<LOGGING
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c)%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
LOGGING
}

# Replaces the shell it runs in, so that its number is the broker's.
java_of() {
    local folder="$1" heap="$2"
    shift 2
    exec java "-Xmx$heap" -XX:+UseSerialGC "-Dlog4j2.configurationFile=$folder/log4j2.properties" \
        -cp "$jars/*" "$@"
}

answers() {
    (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

start() {
    local folder="$data/$1" port="$2"
    [[ -d "$jars" ]] || fail "not installed: deploy/dev/kafka.sh install"
    if running "$folder" >/dev/null; then
        fail "the broker of $1 runs already: deploy/dev/kafka.sh stop $1"
    fi
    # A broker that was just killed may still be about to let it go.
    local tries
    for ((tries = 0; tries < 25; tries++)); do
        answers "$port" || break
        sleep 0.2
    done
    if answers "$port"; then
        fail "port $port is taken: name another one"
    fi
    mkdir -p "$folder"
    settings "$folder" "$port" >"$folder/server.properties"
    logging >"$folder/log4j2.properties"
    if [[ ! -e "$folder/log/meta.properties" ]]; then
        # An id of 16 bytes in Kafka's own writing; each wiped broker is another cluster. One that began
        # with a dash would be taken for an option.
        local id
        id="$({ printf 'A'; head -c 15 /dev/urandom; } | base64 | tr '+/' '-_' | tr -d '=')"
        (java_of "$folder" 128m kafka.tools.StorageTool format --cluster-id "$id" \
            --config "$folder/server.properties") >"$folder/format.txt" 2>&1 ||
            fail "formatting failed: $(tail -n 3 "$folder/format.txt")"
    fi
    (java_of "$folder" 256m kafka.Kafka "$folder/server.properties") \
        </dev/null >>"$folder/broker.txt" 2>&1 &
    local pid=$!
    disown "$pid"
    echo "$pid" >"$folder/pid"
    for ((tries = 0; tries < 300; tries++)); do
        if answers "$port"; then
            echo "127.0.0.1:$port"
            return
        fi
        kill -0 "$pid" 2>/dev/null || fail "it ended at once: $(tail -n 3 "$folder/broker.txt")"
        sleep 0.2
    done
    fail "it does not answer after 60 s: see $folder/broker.txt"
}

stop() {
    local folder="$data/$1" pid
    pid="$(running "$folder")" || return 0
    kill "$pid"
    local tries
    for ((tries = 0; tries < 150; tries++)); do
        running "$folder" >/dev/null || break
        sleep 0.2
    done
    # One that was frozen, or hangs in its own end.
    if running "$folder" >/dev/null; then
        kill -KILL "$pid"
    fi
    rm -f "$folder/pid"
}

# Names are folders here.
[[ $# -lt 2 || "$2" =~ ^[a-z][a-z0-9_-]*$ ]] || fail "a region's name is made of a-z, 0-9, _ and -"

case "${1:-} $#" in
"install 1") install ;;
"path 1") echo "$jars" ;;
"start 3")
    [[ "$3" =~ ^[0-9]+$ ]] || usage
    start "$2" "$3"
    ;;
"pid 2") running "$data/$2" || fail "the broker of $2 does not run" ;;
"stop 2") stop "$2" ;;
"wipe 2")
    stop "$2"
    rm -rf "${data:?}/$2"
    ;;
*) usage ;;
esac
