"""The functions that Kubernetes adds to CEL (apiserver/pkg/cel/library) as the checker sees them: overload, signature, result."""

from __future__ import annotations

QUANTITY, SEMVER, FORMAT, URL = "kubernetes.Quantity", "kubernetes.Semver", "kubernetes.NamedFormat", "kubernetes.URL"
IP, CIDR = "net.IP", "net.CIDR"
AUTHORIZER, PATH_CHECK = "kubernetes.authorization.Authorizer", "kubernetes.authorization.PathCheck"
GROUP_CHECK, RESOURCE_CHECK = "kubernetes.authorization.GroupCheck", "kubernetes.authorization.ResourceCheck"
DECISION = "kubernetes.authorization.Decision"
SUMMED = ("int", "uint", "double", "duration")
COMPARED = ("int", "uint", "double", "bool", "duration", "timestamp", "string", "bytes")
FORMATS = (
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
)

Signature = tuple[str, str, str]

LISTS: tuple[Signature, ...] = (
    *((f"list_{t}_is_sorted_bool", f"list<{t}>.isSorted()", "bool") for t in COMPARED),
    *((f"list_{t}_sum_{t}", f"list<{t}>.sum()", t) for t in SUMMED),
    *((f"list_{t}_max_{t}", f"list<{t}>.max()", t) for t in COMPARED),
    *((f"list_{t}_min_{t}", f"list<{t}>.min()", t) for t in COMPARED),
    ("list_a_index_of_int", "list<~A>.indexOf(~A)", "int"),
    ("list_a_last_index_of_int", "list<~A>.lastIndexOf(~A)", "int"),
)
# The strings extension of cel-go, version 2; the library's own can not be extended by lists' indexOf.
STRINGS: tuple[Signature, ...] = (
    ("string_char_at_int", "string.charAt(int)", "string"),
    ("string_index_of_string", "string.indexOf(string)", "int"),
    ("string_index_of_string_int", "string.indexOf(string,int)", "int"),
    ("string_last_index_of_string", "string.lastIndexOf(string)", "int"),
    ("string_last_index_of_string_int", "string.lastIndexOf(string,int)", "int"),
    ("string_lower_ascii", "string.lowerAscii()", "string"),
    ("string_upper_ascii", "string.upperAscii()", "string"),
    ("string_replace_string_string", "string.replace(string,string)", "string"),
    ("string_replace_string_string_int", "string.replace(string,string,int)", "string"),
    ("string_split_string", "string.split(string)", "list<string>"),
    ("string_split_string_int", "string.split(string,int)", "list<string>"),
    ("string_substring_int", "string.substring(int)", "string"),
    ("string_substring_int_int", "string.substring(int,int)", "string"),
    ("string_trim", "string.trim()", "string"),
    ("string_format", "string.format(list<dyn>)", "string"),
    ("strings_quote", "strings\\.quote(string)", "string"),
    ("list_join", "list<string>.join()", "string"),
    ("list_join_string", "list<string>.join(string)", "string"),
)
REGEX: tuple[Signature, ...] = (
    ("string_find_string", "string.find(string)", "string"),
    ("string_find_all_string", "string.findAll(string)", "list<string>"),
    ("string_find_all_string_int", "string.findAll(string,int)", "list<string>"),
)
# Declared anew with its two overloads more: the library takes a function from one place only.
STRING: tuple[Signature, ...] = (
    *((f"{t}_to_string", f"string({t})", "string") for t in ("bool", "bytes", "double", "duration", "int")),
    *((f"{t}_to_string", f"string({t})", "string") for t in ("string", "timestamp", "uint")),
    ("ip_to_string", f"string({IP})", "string"),
    ("cidr_to_string", f"string({CIDR})", "string"),
)
URLS: tuple[Signature, ...] = (
    ("string_to_url", "url(string)", URL),
    ("is_url_string", "isURL(string)", "bool"),
    ("url_get_scheme", f"{URL}.getScheme()", "string"),
    ("url_get_host", f"{URL}.getHost()", "string"),
    ("url_get_hostname", f"{URL}.getHostname()", "string"),
    ("url_get_port", f"{URL}.getPort()", "string"),
    ("url_get_escaped_path", f"{URL}.getEscapedPath()", "string"),
    ("url_get_query", f"{URL}.getQuery()", "map<string, list<string>>"),
)
ADDRESSES: tuple[Signature, ...] = (
    ("string_to_ip", "ip(string)", IP),
    ("is_ip", "isIP(string)", "bool"),
    ("ip_is_canonical", "ip\\.isCanonical(string)", "bool"),
    ("ip_family", f"{IP}.family()", "int"),
    ("ip_is_unspecified", f"{IP}.isUnspecified()", "bool"),
    ("ip_is_loopback", f"{IP}.isLoopback()", "bool"),
    ("ip_is_link_local_multicast", f"{IP}.isLinkLocalMulticast()", "bool"),
    ("ip_is_link_local_unicast", f"{IP}.isLinkLocalUnicast()", "bool"),
    ("ip_is_global_unicast", f"{IP}.isGlobalUnicast()", "bool"),
    ("string_to_cidr", "cidr(string)", CIDR),
    ("is_cidr", "isCIDR(string)", "bool"),
    ("cidr_contains_ip_string", f"{CIDR}.containsIP(string)", "bool"),
    ("cidr_contains_ip_ip", f"{CIDR}.containsIP({IP})", "bool"),
    ("cidr_contains_cidr_string", f"{CIDR}.containsCIDR(string)", "bool"),
    ("cidr_contains_cidr", f"{CIDR}.containsCIDR({CIDR})", "bool"),
    ("cidr_ip", f"{CIDR}.ip()", IP),
    ("cidr_prefix_length", f"{CIDR}.prefixLength()", "int"),
    ("cidr_masked", f"{CIDR}.masked()", CIDR),
)
QUANTITIES: tuple[Signature, ...] = (
    ("string_to_quantity", "quantity(string)", QUANTITY),
    ("is_quantity_string", "isQuantity(string)", "bool"),
    ("quantity_sign", f"sign({QUANTITY})", "int"),
    ("quantity_sign_member", f"{QUANTITY}.sign()", "int"),
    ("quantity_is_greater_than", f"{QUANTITY}.isGreaterThan({QUANTITY})", "bool"),
    ("quantity_is_less_than", f"{QUANTITY}.isLessThan({QUANTITY})", "bool"),
    ("quantity_compare_to", f"{QUANTITY}.compareTo({QUANTITY})", "int"),
    ("quantity_get_float", f"{QUANTITY}.asApproximateFloat()", "double"),
    ("quantity_get_int", f"{QUANTITY}.asInteger()", "int"),
    ("quantity_is_integer", f"{QUANTITY}.isInteger()", "bool"),
    ("quantity_add", f"{QUANTITY}.add({QUANTITY})", QUANTITY),
    ("quantity_add_int", f"{QUANTITY}.add(int)", QUANTITY),
    ("quantity_sub", f"{QUANTITY}.sub({QUANTITY})", QUANTITY),
    ("quantity_sub_int", f"{QUANTITY}.sub(int)", QUANTITY),
)
SEMVERS: tuple[Signature, ...] = (
    ("string_to_semver", "semver(string)", SEMVER),
    ("string_bool_to_semver", "semver(string,bool)", SEMVER),
    ("is_semver_string", "isSemver(string)", "bool"),
    ("is_semver_string_bool", "isSemver(string,bool)", "bool"),
    ("semver_is_greater_than", f"{SEMVER}.isGreaterThan({SEMVER})", "bool"),
    ("semver_is_less_than", f"{SEMVER}.isLessThan({SEMVER})", "bool"),
    ("semver_compare_to", f"{SEMVER}.compareTo({SEMVER})", "int"),
    ("semver_major", f"{SEMVER}.major()", "int"),
    ("semver_minor", f"{SEMVER}.minor()", "int"),
    ("semver_patch", f"{SEMVER}.patch()", "int"),
)
NAMED_FORMATS: tuple[Signature, ...] = (
    ("format-validate", f"{FORMAT}.validate(string)", "optional_type<list<string>>"),
    ("format-named", "format\\.named(string)", f"optional_type<{FORMAT}>"),
    *((f"format.{name}", f"format\\.{name}()", FORMAT) for name in FORMATS),
)
AUTHORIZATION: tuple[Signature, ...] = (
    ("authorizer_path", f"{AUTHORIZER}.path(string)", PATH_CHECK),
    ("authorizer_group", f"{AUTHORIZER}.group(string)", GROUP_CHECK),
    ("authorizer_serviceaccount", f"{AUTHORIZER}.serviceAccount(string,string)", AUTHORIZER),
    ("groupcheck_resource", f"{GROUP_CHECK}.resource(string)", RESOURCE_CHECK),
    ("resourcecheck_subresource", f"{RESOURCE_CHECK}.subresource(string)", RESOURCE_CHECK),
    ("resourcecheck_namespace", f"{RESOURCE_CHECK}.namespace(string)", RESOURCE_CHECK),
    ("resourcecheck_name", f"{RESOURCE_CHECK}.name(string)", RESOURCE_CHECK),
    ("authorizer_fieldselector", f"{RESOURCE_CHECK}.fieldSelector(string)", RESOURCE_CHECK),
    ("authorizer_labelselector", f"{RESOURCE_CHECK}.labelSelector(string)", RESOURCE_CHECK),
    ("pathcheck_check", f"{PATH_CHECK}.check(string)", DECISION),
    ("resourcecheck_check", f"{RESOURCE_CHECK}.check(string)", DECISION),
    ("decision_errored", f"{DECISION}.errored()", "bool"),
    ("decision_error", f"{DECISION}.error()", "string"),
    ("decision_allowed", f"{DECISION}.allowed()", "bool"),
    ("decision_reason", f"{DECISION}.reason()", "string"),
)
JSON_PATCH: tuple[Signature, ...] = (("string_jsonpatch_escapeKey_string", "jsonpatch\\.escapeKey(string)", "string"),)
ORDER = (("_<_", "less"), ("_<=_", "less_equals"), ("_>_", "greater"), ("_>=_", "greater_equals"))
# Numbers are ordered across their types (cel.CrossTypeNumericComparisons).
ORDERED = (
    ("bool", "bool", "bool"),
    ("int64", "int", "int"),
    ("int64_double", "int", "double"),
    ("int64_uint64", "int", "uint"),
    ("uint64", "uint", "uint"),
    ("uint64_double", "uint", "double"),
    ("uint64_int64", "uint", "int"),
    ("double", "double", "double"),
    ("double_int64", "double", "int"),
    ("double_uint64", "double", "uint"),
    ("string", "string", "string"),
    ("bytes", "bytes", "bytes"),
    ("timestamp", "timestamp", "timestamp"),
    ("duration", "duration", "duration"),
)
# Types that expressions may name, as in `type(x) == net.IP`.
TYPES = (IP, CIDR, QUANTITY, SEMVER, FORMAT, URL)
ALL = LISTS + STRING + STRINGS + REGEX + URLS + ADDRESSES + QUANTITIES + SEMVERS + NAMED_FORMATS + AUTHORIZATION
EXTENSIONS = {"optional": 2, "lists": 2, "sets": 0, "two-var-comprehensions": 0}


def name_of(signature: str) -> str:
    """The function's name: what stands before the arguments, without the receiver."""
    head = signature.rpartition("(")[0].replace("\\.", "\0")
    return head.rpartition(">.")[2].rpartition(".")[2].replace("\0", ".")
