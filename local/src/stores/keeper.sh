# Keeps one server for a parent that may die at any moment, even by SIGKILL.
#
#   LICENSE_KEEPER="$(cat <this file>)" sh -c 'eval "$LICENSE_KEEPER"' keeper STOP_SIGNAL GRACE_SECONDS REMOVE command...
#
# Runs the command as a child and exits with its status. Standard input is a pipe that only the parent holds:
#   each line on it names a signal to send to the server (QUIT, KILL, STOP, CONT ...);
#   its end means that the parent is gone: the server gets STOP_SIGNAL, and KILL once GRACE_SECONDS are over;
#   a line END means the same stop, asked for by a parent that lives on.
# REMOVE is a directory to delete once the server is gone with its parent ('' = none): a killed test leaves nothing
# behind.
#
# Must be started as the leader of a process group of its own: the last line but two signals the whole group.

stop=$1 grace=$2 remove=$3
shift 3

# Background commands of a shell lose standard input; the pipe goes on as 3. The server must not hold it.
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!

# The pipe is read beside the wait below, so that the server's own death is seen at once, too.
(
  while read -r signal <&3; do
    if [ "$signal" = END ]; then remove=; break; fi
    kill -s "$signal" "$server"
  done
  [ -z "$remove" ] || : >"$remove/.orphaned"
  kill -s "$stop" "$server"
  kill -s CONT "$server" # a paused server sees its stop only when it goes on
  while [ "$grace" -gt 0 ] && kill -s 0 "$server"; do
    grace=$((grace - 1))
    sleep 1
  done
  kill -s KILL "$server"
) 2>/dev/null &
exec 3<&-

# Asked to stop by somebody else, the keeper takes its server along; `wait` returns early then and is called again.
trap 'kill -s "$stop" "$server"' TERM INT HUP
while :; do
  wait "$server"
  status=$?
  kill -s 0 "$server" 2>/dev/null || break
done

# What reads the pipe, and its sleep, end with the server.
trap '' TERM
kill -s TERM 0
if [ -n "$remove" ] && [ -e "$remove/.orphaned" ]; then rm -rf "$remove"; fi
exit "$status"
