"""All settings, from ``SLIPWAY_…`` environment variables over defaults that need no server but ourselves."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
from csp.constants import NONCE, NONE, SELF
from kombu import Queue

from controlplane.home import KeyRing, data_folder, secret
from controlplane.logs import set_up

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()  # NAME_FILE names a file that holds the value of NAME: for secrets

# The product's own
SLIPWAY_HOME = data_folder(BASE_DIR)
SLIPWAY_WEB_PORT, SLIPWAY_GATEWAY_PORT = env.int("SLIPWAY_WEB_PORT", 8000), env.int("SLIPWAY_GATEWAY_PORT", 8080)
SLIPWAY_WEB_URL = env.str("SLIPWAY_WEB_URL", f"http://127.0.0.1:{SLIPWAY_WEB_PORT}").rstrip("/")
SLIPWAY_GATEWAY_URL = env.str("SLIPWAY_GATEWAY_URL", f"http://127.0.0.1:{SLIPWAY_GATEWAY_PORT}").rstrip("/")
SLIPWAY_GATEWAY_INTERNAL_URLS = env.list(  # each gateway process, where the worker collects what they measured
    "SLIPWAY_GATEWAY_INTERNAL_URLS", default=[f"http://127.0.0.1:{SLIPWAY_GATEWAY_PORT}"]
)
SLIPWAY_MACHINE_ADDRESS = env.str("SLIPWAY_MACHINE_ADDRESS", "127.0.0.1")  # what a first start notes of this machine
SLIPWAY_STORE_URL = env.str("SLIPWAY_STORE_URL", f"file://{SLIPWAY_HOME / 'artifacts'}")
SLIPWAY_REGISTRY_URL = env.str("SLIPWAY_REGISTRY_URL", "")  # https://user:password@host:port/prefix
SLIPWAY_REGISTRY_CA = env.str("SLIPWAY_REGISTRY_CA", "")  # the file of its authority's certificate
SLIPWAY_BASE_IMAGE = env.str("SLIPWAY_BASE_IMAGE", "python:3.11-slim")
SLIPWAY_BASE_PYTHON = env.str("SLIPWAY_BASE_PYTHON", "3.11")  # the Python that is in the base image
SLIPWAY_BUILD_HOST = env.str("SLIPWAY_BUILD_HOST", "unix:///var/run/docker.sock")  # lays packages on the base image
SLIPWAY_BUILD_HOST_CERTS = env.str("SLIPWAY_BUILD_HOST_CERTS", "")  # a folder with ca.pem, cert.pem and key.pem
SLIPWAY_BUILD_NETWORK = env.str("SLIPWAY_BUILD_NETWORK", "")  # what packages are fetched through there
SLIPWAY_CA_BUNDLE = env.str("SLIPWAY_CA_BUNDLE", "")
SLIPWAY_INDEX_URL = env.str("SLIPWAY_INDEX_URL", "")
SLIPWAY_TORCH_INDEX_URL = env.str("SLIPWAY_TORCH_INDEX_URL", "https://download.pytorch.org/whl/cpu")
SLIPWAY_FIND_LINKS = env.str("SLIPWAY_FIND_LINKS", "")  # a folder or page with packages of your own
SLIPWAY_BROKER_URL = env.str("SLIPWAY_BROKER_URL", "")
SLIPWAY_OUTBOUND_ALLOWED = env.list("SLIPWAY_OUTBOUND_ALLOWED", default=[])  # host:port that webhooks may reach inside
SLIPWAY_UPLOAD_MAX_BYTES = env.int("SLIPWAY_UPLOAD_MAX_BYTES", 10 << 30)
SLIPWAY_EXAMINE_MEMORY_BYTES = env.int("SLIPWAY_EXAMINE_MEMORY_BYTES", 4 << 30)  # these two: worker/specs.py
SLIPWAY_EXAMINE_SECONDS = env.float("SLIPWAY_EXAMINE_SECONDS", 60.0)
SLIPWAY_BODY_MAX_BYTES = 10 << 20  # of every request but uploads
SLIPWAY_WRONG_KEYS_PER_MINUTE = 20  # from one address; right keys always pass
SLIPWAY_API_WRITES_PER_MINUTE = 1200  # of one person or key
SLIPWAY_EMBEDDED = not SLIPWAY_BROKER_URL
SLIPWAY_MASTER_KEYS = KeyRing(SLIPWAY_HOME / "secrets" / "master_key")  # newest first; older ones only open
SLIPWAY_BUILD_KEYS = KeyRing(SLIPWAY_HOME / "secrets" / "build_key")  # sign what was built; older ones only verify
SLIPWAY_AUDIT_KEYS = KeyRing(SLIPWAY_HOME / "secrets" / "audit_key")  # sign the audit log's head; likewise
SLIPWAY_AUDIT_CHECKPOINTS = env.str("SLIPWAY_AUDIT_CHECKPOINTS", "")  # where copies of what was signed go
SLIPWAY_INSTANCE = secret(SLIPWAY_HOME, "instance", 6).hex()  # the label of everything that we start somewhere
SLIPWAY_PEPPERS = KeyRing(SLIPWAY_HOME / "secrets" / "key_pepper")  # likewise: API keys are made with the newest
SLIPWAY_INTERNAL_TOKEN = secret(SLIPWAY_HOME, "internal_token").hex()

# Django
SLIPWAY_SESSION_KEYS = KeyRing(SLIPWAY_HOME / "secrets" / "secret_key")
SECRET_KEY = env.str("SLIPWAY_SECRET_KEY", "") or SLIPWAY_SESSION_KEYS[0].hex()
SECRET_KEY_FALLBACKS = [key.hex() for key in SLIPWAY_SESSION_KEYS[1:]]
DEBUG = False
IS_SECURE = SLIPWAY_WEB_URL.startswith("https://")
TRUSTED_PROXIES = env.int("SLIPWAY_TRUSTED_PROXIES", 1 if IS_SECURE else 0)  # https is somebody's before it is ours
SLIPWAY_GATEWAY_PROXIES = env.int("SLIPWAY_TRUSTED_PROXIES", int(SLIPWAY_GATEWAY_URL.startswith("https://")))
ALLOWED_HOSTS = env.list(
    "SLIPWAY_ALLOWED_HOSTS", default=["127.0.0.1", "localhost", "[::1]", urlsplit(SLIPWAY_WEB_URL).hostname]
)
CSRF_TRUSTED_ORIGINS = [SLIPWAY_WEB_URL]
ROOT_URLCONF = "controlplane.urls"
WSGI_APPLICATION = "controlplane.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_filters",
    "django_htmx",
    "django_cotton.apps.SimpleAppConfig",
    "lucide",
    "csp",
    "django_structlog",
    "apps.core",
    "apps.audit",
    "apps.accounts",
    "apps.library",
    "apps.targets",
    "apps.releases",
    "apps.deployments",
    "apps.monitoring",
    "controlplane",  # for its commands
]

MIDDLEWARE = [
    "apps.core.metrics.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "apps.core.middleware.HeadersMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "apps.accounts.middleware.SessionLimitsMiddleware",
    "apps.accounts.middleware.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "apps.core.middleware.BodyMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "apps.accounts.middleware.ActorMiddleware",
    "apps.core.middleware.DomainErrorMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "OPTIONS": {
            "loaders": [
                (
                    "django.template.loaders.cached.Loader",
                    [
                        "django_cotton.cotton_loader.Loader",
                        "django.template.loaders.filesystem.Loader",
                        "django.template.loaders.app_directories.Loader",
                    ],
                )
            ],
            "builtins": [
                "django_cotton.templatetags.cotton",
                "django.templatetags.i18n",
                "django.templatetags.static",
                "lucide.templatetags.lucide",
                "apps.core.templatetags.slipway",
            ],
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
                "apps.core.context.frame",
            ],
        },
    }
]
COTTON_DIR = "cotton"

# Database: SQLite unless told otherwise (house rule: WAL, and IMMEDIATE so that read-then-write never deadlocks)
DATABASES = {"default": env.db_url("SLIPWAY_DATABASE_URL", f"sqlite:///{SLIPWAY_HOME / 'slipway.sqlite3'}")}
if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA recursive_triggers=ON;",
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
    DATABASES["default"]["OPTIONS"] = {
        "connect_timeout": 2,
        "tcp_user_timeout": 10_000,  # ms, after which a server that fell silent is taken for gone
        "options": "-c statement_timeout=30s -c lock_timeout=10s -c idle_in_transaction_session_timeout=60s",
        **DATABASES["default"].get("OPTIONS", {}),
    }
SLIPWAY_DATABASE_ADMIN_URL = env.str("SLIPWAY_DATABASE_ADMIN_URL", "")  # for the preparation alone: see protect_audit
DATABASES["default"]["CONN_MAX_AGE"] = 60  # opening SQLite anew and reading its schema takes longer than most queries
CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "django_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}
SLIPWAY_REDIS_URL = env.str("SLIPWAY_REDIS_URL", "")
if SLIPWAY_REDIS_URL:
    _redis = {
        "LOCATION": SLIPWAY_REDIS_URL,
        "KEY_PREFIX": f"slipway-{SLIPWAY_INSTANCE}",
        "OPTIONS": {"socket_timeout": 0.5, "socket_connect_timeout": 0.5, "health_check_interval": 30},
    }
    CACHES = {
        "default": {"BACKEND": "apps.core.shared_cache.SharedCache", **_redis},
        "sessions": {"BACKEND": "apps.core.shared_cache.SharedSessions", **_redis},
    }
    SESSION_ENGINE = "django.contrib.sessions.backends.cached_db"
    SESSION_CACHE_ALIAS = "sessions"
# Answers kept for Idempotency-Key stand beside what they answer, so that both are committed or neither is
CACHES["answers"] = {
    "BACKEND": "django.core.cache.backends.db.DatabaseCache",
    "LOCATION": "django_cache",
    "OPTIONS": {"MAX_ENTRIES": 100_000},  # the default of 300 would forget them
}

# Files of our own pages
STATIC_URL = "/static/"
STATIC_ROOT = SLIPWAY_HOME / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "apps.core.vendored.VendoredFilesFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "controlplane.static_files.StaticFiles"},
}
WHITENOISE_KEEP_ONLY_HASHED_FILES = True

# People
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.Argon2PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in [
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
    ]
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "apps.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "apps.accounts.forms.SignInForm"}
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
USERSESSIONS_TRACK_ACTIVITY = False  # it would write at every request; ActorMiddleware notes it now and then
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_TOTP_ISSUER = "Slipway"
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXIES
EMAIL_CONFIG = env.email_url("SLIPWAY_EMAIL_URL", "consolemail://")
EMAIL_BACKEND = EMAIL_CONFIG["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = EMAIL_CONFIG.get("EMAIL_HOST") or "localhost", EMAIL_CONFIG.get("EMAIL_PORT") or 25
EMAIL_HOST_USER = EMAIL_CONFIG.get("EMAIL_HOST_USER") or ""
EMAIL_HOST_PASSWORD = EMAIL_CONFIG.get("EMAIL_HOST_PASSWORD") or ""
EMAIL_USE_TLS = EMAIL_CONFIG.get("EMAIL_USE_TLS", False)
DEFAULT_FROM_EMAIL = env.str("SLIPWAY_EMAIL_FROM", "slipway@localhost")

# Web security. Over plain HTTP (the embedded default on loopback) cookies can't carry the __Host- prefix.
_cookie_prefix = "__Host-" if IS_SECURE else "slipway_"
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{_cookie_prefix}session", f"{_cookie_prefix}csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_SECURE
SESSION_COOKIE_AGE = 8 * 3600  # from signing in, used or not
SLIPWAY_SESSION_IDLE_SECONDS = 1800
SECURE_SSL_REDIRECT = IS_SECURE
SECURE_REDIRECT_EXEMPT = [r"^healthz$"]  # asked from inside, past the proxy
SECURE_HSTS_SECONDS = 31536000 if IS_SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = IS_SECURE
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY: dict[str, Any] = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF, NONCE],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}
DATA_UPLOAD_MAX_MEMORY_SIZE = SLIPWAY_BODY_MAX_BYTES
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

# Languages and time
LANGUAGE_CODE, TIME_ZONE = "en", "UTC"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_NAME = "slipway_language"
LOCALE_PATHS = [BASE_DIR / "apps" / "core" / "locale"]
USE_I18N = USE_TZ = True

# The API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "apps.accounts.authentication.KeyAuthentication",
        "apps.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PARSER_CLASSES": ["apps.core.parsers.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["apps.core.rendering.QuickJSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "apps.core.pagination.Pages",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_THROTTLE_CLASSES": ["apps.accounts.throttles.WritesPerActor"],
    "DEFAULT_SCHEMA_CLASS": "apps.core.schema.Schema",
    "EXCEPTION_HANDLER": "apps.core.problems.answer_problem",
    "PAGE_SIZE": 50,
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Slipway",
    "DESCRIPTION": "The control plane: library, releases, deployments, monitoring, access and audit.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "VersionStateEnum": "apps.library.models.ModelVersion.State",
        "TargetKindEnum": "apps.targets.services.KINDS",
        "ChannelKindEnum": ["webhook", "mail"],
    },
}

# Celery: a doorbell. Without a broker everything happens in one worker process, fed by the sweep.
CELERY_BROKER_URL = SLIPWAY_BROKER_URL or "memory://localhost"
CELERY_TASK_TIME_LIMIT, CELERY_TASK_SOFT_TIME_LIMIT = 1800, 1700
_broker_options: dict[str, dict[str, Any]] = {
    "memory": {"polling_interval": 0.02},
    "amqp": {"confirm_publish": True},
    "redis": {
        "visibility_timeout": 2 * CELERY_TASK_TIME_LIMIT,  # a task that still runs is not given to another worker
        "socket_timeout": 5,  # kombu's default waits for a hung server for ever
        "socket_connect_timeout": 3,
        "socket_keepalive": True,
    },
}
_scheme = urlsplit(CELERY_BROKER_URL).scheme
CELERY_BROKER_TRANSPORT_OPTIONS = _broker_options[{"amqps": "amqp", "rediss": "redis"}.get(_scheme, _scheme)]
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = CELERY_TASK_ACKS_LATE = CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
# Celery's own brake after a lost connection asks RabbitMQ from the thread of a job, beside the one that reads: now and
# then both wait for each other, and the worker takes nothing any more.
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
CELERY_ACCEPT_CONTENT = ["json"]
if not SLIPWAY_EMBEDDED:  # long work has a queue of its own, so that any number of workers can take it on
    _forgotten = {"x-message-ttl": 60_000}  # ms, after which RabbitMQ drops a ring: the sweep has rung again since
    CELERY_TASK_QUEUES = [Queue(name, routing_key=name, queue_arguments=_forgotten) for name in ("celery", "heavy")]
    CELERY_TASK_ROUTES = {f"slipway.{job}": {"queue": "heavy"} for job in ("examine", "build")}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
SLIPWAY_SWEEP_SECONDS = 0.5  # between two looks for what is due; with a broker only at what is on its way, see below
SLIPWAY_ROUNDS = {  # what comes round with the clock: seconds between (worker/tasks/sweep.py says what each does)
    "equip": 1.0,
    "start_due": 1.0,
    "collect": 5.0,
    "collect_logs": 2.0,
    "evaluate": 5.0,
    "roll_up": 60.0,
    "clear_orphans": 60.0,
    "expire_releases": 60.0,
    "expire_uploads": 300.0,
    "disable_keys": 3600.0,
    "prune": 6 * 3600.0,
    "sign_audit": 15.0,
    "verify_audit": 3600.0,
}
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "slipway.sweep", "schedule": 15.0},
    # A deployment on its way is looked at again and again: each look only sets when the next is due
    "follow": {
        "task": "slipway.sweep",
        "schedule": SLIPWAY_SWEEP_SECONDS,
        "args": ["reconcile"],
        "options": {"expires": 2},
    },
    **{
        name: {"task": "slipway.round", "schedule": seconds, "args": [name]} for name, seconds in SLIPWAY_ROUNDS.items()
    },
}
DJANGO_STRUCTLOG_CELERY_ENABLED = True

LOGGING = set_up(env.str("SLIPWAY_LOG_LEVEL", "INFO"))
