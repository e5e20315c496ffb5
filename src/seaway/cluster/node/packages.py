"""Images that stand for a program which Debian packages: which one, and what the official image lays around it; pure.

The program is the machine's own or one fetched (`debian.py`); its configuration is always the official image's, never this
machine's: what is installed here may be set up for something else.
"""

from __future__ import annotations

from dataclasses import dataclass

NGINX_CONF = """user  nginx;
worker_processes  auto;

error_log  /var/log/nginx/error.log notice;
pid        /run/nginx.pid;

events {
    worker_connections  1024;
}

http {
    include       /etc/nginx/mime.types;
    default_type  application/octet-stream;

    log_format  main  '$remote_addr - $remote_user [$time_local] "$request" '
                      '$status $body_bytes_sent "$http_referer" '
                      '"$http_user_agent" "$http_x_forwarded_for"';

    access_log  /var/log/nginx/access.log  main;

    sendfile        on;
    keepalive_timeout  65;

    include /etc/nginx/conf.d/*.conf;
}
"""
NGINX_SITE = """server {
    listen       80;
    listen  [::]:80;
    server_name  localhost;

    location / {
        root   /usr/share/nginx/html;
        index  index.html index.htm;
    }

    error_page   500 502 503 504  /50x.html;
    location = /50x.html {
        root   /usr/share/nginx/html;
    }
}
"""
NGINX_WELCOME = """<!DOCTYPE html>
<html>
<head>
<title>Welcome to nginx!</title>
</head>
<body>
<h1>Welcome to nginx!</h1>
<p>The nginx web server works here, and no page of yours is mounted at /usr/share/nginx/html yet.</p>
</body>
</html>
"""
NGINX_ERROR = (
    "<!DOCTYPE html>\n<html><head><title>Error</title></head><body><h1>An error occurred.</h1></body></html>\n"
)
# What the official image does before nginx: /docker-entrypoint.d, and templates filled with the environment.
NGINX_ENTRY = r"""#!/bin/sh
set -e
if [ "$1" = nginx ] || [ "$1" = nginx-debug ]; then
  for file in /docker-entrypoint.d/*; do
    case "$file" in
      *.envsh) [ -x "$file" ] && . "$file" || echo "$0: ignoring $file, not executable" ;;
      *.sh) if [ -x "$file" ]; then "$file"; else echo "$0: ignoring $file, not executable"; fi ;;
      */\*) ;;
      *) echo "$0: ignoring $file" ;;
    esac
  done
  from="${NGINX_ENVSUBST_TEMPLATE_DIR:-/etc/nginx/templates}"
  suffix="${NGINX_ENVSUBST_TEMPLATE_SUFFIX:-.template}"
  to="${NGINX_ENVSUBST_OUTPUT_DIR:-/etc/nginx/conf.d}"
  if [ -d "$from" ]; then
    (cd "$from" && find . -follow -type f -name "*$suffix" -not -path '*/..*/*') | while read -r template; do
      output="$to/${template%"$suffix"}"
      mkdir -p "$(dirname "$output")"
      echo "$0: running envsubst on $from/$template to $output"
      awk '{
        rest = $0; line = ""
        while (match(rest, /\$([A-Za-z_][A-Za-z0-9_]*|\{[A-Za-z_][A-Za-z0-9_]*\})/)) {
          found = substr(rest, RSTART, RLENGTH); name = found; gsub(/[${}]/, "", name)
          known = (name in ENVIRON) && name ~ ENVIRON["NGINX_ENVSUBST_FILTER"]
          line = line substr(rest, 1, RSTART - 1) (known ? ENVIRON[name] : found)
          rest = substr(rest, RSTART + RLENGTH)
        }
        print line rest
      }' "$from/$template" > "$output"
    done
  fi
  echo "$0: Configuration complete; ready for start up"
fi
exec "$@"
"""
HTTPD_MODULES = """mpm_event authn_file authn_core authz_host authz_groupfile authz_user authz_core access_compat auth_basic
reqtimeout filter mime env headers setenvif autoindex dir alias""".split()
HTTPD_CONF = (
    'ServerRoot "/usr/local/apache2"\nListen 80\n'
    + "".join(f"LoadModule {name}_module modules/mod_{name}.so\n" for name in HTTPD_MODULES)
    + """
User www-data
Group www-data
ServerAdmin you@example.com
ServerName localhost
PidFile /usr/local/apache2/logs/httpd.pid
<Directory />
    AllowOverride none
    Require all denied
</Directory>
DocumentRoot "/usr/local/apache2/htdocs"
<Directory "/usr/local/apache2/htdocs">
    Options Indexes FollowSymLinks
    AllowOverride None
    Require all granted
</Directory>
DirectoryIndex index.html
<Files ".ht*">
    Require all denied
</Files>
ErrorLog /proc/self/fd/2
LogLevel warn
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
CustomLog /proc/self/fd/1 common
TypesConfig /etc/mime.types
IncludeOptional conf/extra/*.conf
"""
)
# Where there is a single user, root, apache2 finds none to become; in a user namespace of its own it is somebody already.
HTTPD = """#!/bin/sh
if [ "$(awk '{ n += $3 } END { print n }' /proc/self/uid_map)" = 1 ]; then
  exec unshare --user --map-user=33 --map-group=33 apache2 -d /usr/local/apache2 -f /usr/local/apache2/conf/httpd.conf "$@"
fi
exec apache2 -d /usr/local/apache2 -f /usr/local/apache2/conf/httpd.conf "$@"
"""
HTTPD_FOREGROUND = """#!/bin/sh
rm -f /usr/local/apache2/logs/httpd.pid
exec httpd -DFOREGROUND "$@"
"""
# The official image is built with protected mode off: a Service has to reach it.
REDIS = """#!/bin/sh
for word in "$@"; do
  case "$word" in
    --protected-mode) exec /usr/bin/redis-server "$@" ;;
    -*) ;;
    *) if [ -f "$word" ] && grep -qi '^[[:space:]]*protected-mode' "$word"; then exec /usr/bin/redis-server "$@"; fi ;;
  esac
done
case "$1" in
  -v|--version|-h|--help|--test-memory|--check-system) exec /usr/bin/redis-server "$@" ;;
esac
exec /usr/bin/redis-server "$@" --protected-mode no
"""
REDIS_ENTRY = """#!/bin/sh
set -e
if [ "${1#-}" != "$1" ] || [ "${1%.conf}" != "$1" ]; then
  set -- redis-server "$@"
fi
exec "$@"
"""
HAPROXY_ENTRY = """#!/bin/sh
set -e
if [ "${1#-}" != "$1" ]; then
  set -- haproxy "$@"
fi
if [ "$1" = haproxy ]; then
  shift
  set -- haproxy -W -db "$@"
fi
exec "$@"
"""
ENTRY = "/docker-entrypoint.sh"


@dataclass(frozen=True, slots=True)
class File:
    path: str
    text: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class Program:
    """A program behind an image's name. `program` is looked for on the machine, `packages` bring it where it is not there.
    `keep`: files of the package that are wanted where the machine's own /etc is not shown. `at`: where a program that
    came with Seaway is shown; `user`: the image's."""

    program: str
    packages: tuple[str, ...]
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    folders: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    keep: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    workdir: str = ""
    stop_signal: str = ""
    at: str = ""
    user: str = ""


SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PROGRAMS: dict[str, Program] = {
    "nginx": Program(
        "nginx",
        ("nginx",),
        (ENTRY,),
        ("nginx", "-g", "daemon off;"),
        (
            File("/etc/nginx/nginx.conf", NGINX_CONF),
            File("/etc/nginx/conf.d/default.conf", NGINX_SITE),
            File("/usr/share/nginx/html/index.html", NGINX_WELCOME),
            File("/usr/share/nginx/html/50x.html", NGINX_ERROR),
            File(ENTRY, NGINX_ENTRY, 0o755),
        ),
        ("/var/log/nginx", "/var/cache/nginx", "/var/lib/nginx", "/docker-entrypoint.d"),
        (
            ("/var/log/nginx/access.log", "/dev/stdout"),
            ("/var/log/nginx/error.log", "/dev/stderr"),
            ("/etc/nginx/modules", "/usr/lib/nginx/modules"),
        ),
        (
            "/etc/nginx/mime.types",
            "/etc/nginx/fastcgi_params",
            "/etc/nginx/fastcgi.conf",
            "/etc/nginx/proxy_params",
            "/etc/nginx/scgi_params",
            "/etc/nginx/uwsgi_params",
        ),
        stop_signal="SIGQUIT",
    ),
    "httpd": Program(
        "apache2",
        ("apache2-bin", "media-types"),
        (),
        ("httpd-foreground",),
        (
            File("/usr/local/apache2/conf/httpd.conf", HTTPD_CONF),
            File("/usr/local/apache2/htdocs/index.html", "<html><body><h1>It works!</h1></body></html>\n"),
            File("/usr/local/apache2/bin/httpd", HTTPD, 0o755),
            File("/usr/local/apache2/bin/httpd-foreground", HTTPD_FOREGROUND, 0o755),
        ),
        (
            "/usr/local/apache2/logs",
            "/usr/local/apache2/conf/extra",
            "/usr/local/apache2/cgi-bin",
            "/var/lock",
            "/run/lock",
        ),
        (("/usr/local/apache2/modules", "/usr/lib/apache2/modules"),),
        ("/etc/mime.types",),
        (("PATH", f"/usr/local/apache2/bin:{SBIN}"), ("HTTPD_PREFIX", "/usr/local/apache2")),
        "/usr/local/apache2",
        "SIGWINCH",
    ),
    "redis": Program(
        "redis-server",
        ("redis-server", "redis-tools"),
        (ENTRY,),
        ("redis-server",),
        (File("/usr/local/bin/redis-server", REDIS, 0o755), File(ENTRY, REDIS_ENTRY, 0o755)),
        ("/data",),
        workdir="/data",
    ),
    "haproxy": Program(
        "haproxy",
        ("haproxy",),
        (ENTRY,),
        ("haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"),
        (File(ENTRY, HAPROXY_ENTRY, 0o755),),
        ("/usr/local/etc/haproxy", "/var/lib/haproxy"),
        stop_signal="SIGUSR1",
    ),
    "memcached": Program("memcached", ("memcached",), (), ("memcached", "-u", "root")),
}
SAME = {
    "registry.k8s.io/nginx": "nginx",
    "registry.k8s.io/nginx-slim": "nginx",
    "k8s.gcr.io/nginx-slim": "nginx",
    "nginxinc/nginx": "nginx",
    "haproxytech/haproxy-alpine": "haproxy",
    "haproxytech/haproxy-debian": "haproxy",
    "k8s.gcr.io/nginx": "nginx",
    "apache2": "httpd",
    "registry.k8s.io/redis": "redis",
    "public.ecr.aws/docker/library/nginx": "nginx",
    "public.ecr.aws/docker/library/redis": "redis",
    "public.ecr.aws/nginx/nginx": "nginx",
    "mirror.gcr.io/library/nginx": "nginx",
}


def program_of(name: str) -> Program | None:
    """The program behind a normalized image name."""
    return PROGRAMS.get(SAME.get(name, name))
