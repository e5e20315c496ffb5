/* Service addresses to endpoints where sockets are connected, or send: what goes to a ClusterIP is from its first packet a packet
 * to the pod. Programs for a cgroup (BPF_PROG_TYPE_CGROUP_SOCK_ADDR), one each for connect, sendmsg, recvmsg and getpeername of
 * IPv4 and IPv6; and one for packets that leave (CGROUP_SKB), attached only for a while after a UDP endpoint has gone. The maps are written by ebpf/plane.py; their layouts are those of ebpf/layout.py.
 *
 * Built by `make ebpf`; a test builds it again and compares. */

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

#define SEC(name) __attribute__((section(name), used))
#define INLINE static __attribute__((always_inline))
#define NULL ((void *)0)

enum { HASH = 1, LRU_HASH = 9, NO_PREALLOC = 1 };
enum { TCP = 6, UDP = 17 };
enum { INET = 2, INET6 = 10, CONNECTED = 1 }; /* AF_, and TCP_ESTABLISHED, which a connected UDP socket has too */
enum { DROP = 0, PASS = 1 };
enum { CANDIDATE = 1, SERVING = 2 }; /* bits of a member */

struct bpf_sock_addr {
	u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol, msg_src_ip4, msg_src_ip6[4];
};

/* A socket as a packet program sees it; the last port is on the wire's side, with two bytes of padding. */
struct bpf_sock {
	u32 bound, family, type, protocol, mark, priority, src_ip4, src_ip6[4], src_port;
	u16 dst_port, pad;
	u32 dst_ip4, dst_ip6[4], state;
};

/* What of struct __sk_buff is read here: the socket, 168 bytes in. */
struct packet {
	u32 others[42];
	struct bpf_sock *socket;
};

struct map {
	u32 type, key_size, value_size, max_entries, flags;
};

/* An address that sockets use: IPv4 in the first word. Ports as on the wire. */
struct vip {
	u32 address[4];
	u16 port;
	u8 protocol, family;
};

struct backend {
	u32 address[4];
	u16 port, pad;
};

/* `sticky` names the Service port, whichever of its addresses was used; `seconds` 0: no affinity. */
struct service {
	u32 id, count, sticky, seconds;
};

struct slot {
	u32 id, index;
};

struct member {
	struct vip vip;
	struct backend end;
};

/* A client is a network namespace: a pod has one address a family, and before it connects a socket has none. */
struct client {
	u64 namespace;
	u32 sticky, pad;
};

struct stay {
	u64 since;
	struct backend end;
	u32 pad;
};

struct pin {
	u64 socket;
	struct vip vip;
	u32 pad;
};

struct flow {
	u64 socket;
	struct backend end;
	u32 pad;
};

struct map SEC("maps") services = { HASH, sizeof(struct vip), sizeof(struct service), 1 << 19, NO_PREALLOC };
struct map SEC("maps") backends = { HASH, sizeof(struct slot), sizeof(struct backend), 1 << 21, NO_PREALLOC };
struct map SEC("maps") members = { HASH, sizeof(struct member), sizeof(u32), 1 << 21, NO_PREALLOC };
struct map SEC("maps") clients = { LRU_HASH, sizeof(struct client), sizeof(struct stay), 1 << 16, 0 };
struct map SEC("maps") pins = { LRU_HASH, sizeof(struct pin), sizeof(struct backend), 1 << 16, 0 };
struct map SEC("maps") flows = { LRU_HASH, sizeof(struct flow), sizeof(struct vip), 1 << 16, 0 };

static void *(*const lookup)(void *map, const void *key) = (void *)1;
static long (*const update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static u64 (*const now)(void) = (void *)5;
static u32 (*const random)(void) = (void *)7;
static u64 (*const socket_cookie)(void *context) = (void *)46;
static struct bpf_sock *(*const full_socket)(struct bpf_sock *socket) = (void *)95;
static u64 (*const namespace_cookie)(void *context) = (void *)122;

/* The endpoint that a client has, while its time runs and the endpoint may be chosen. */
INLINE int stays(struct bpf_sock_addr *context, const struct vip *vip, const struct service *service, struct backend *end)
{
	struct client client = { .namespace = namespace_cookie(context), .sticky = service->sticky };
	struct stay *had = lookup(&clients, &client);
	struct member member = { .vip = *vip };
	u64 time = now();
	u32 *bits;

	if (!had || time - had->since >= (u64)service->seconds * 1000000000ULL)
		return 0;
	member.end = had->end;
	bits = lookup(&members, &member);
	if (!bits || !(*bits & CANDIDATE))
		return 0;
	*end = had->end;
	had->since = time;
	return 1;
}

INLINE void stay(struct bpf_sock_addr *context, const struct service *service, const struct backend *end)
{
	struct client client = { .namespace = namespace_cookie(context), .sticky = service->sticky };
	struct stay noted = { .since = now(), .end = *end };

	update(&clients, &client, &noted, 0);
}

/* Chooses an endpoint for an address of a Service; 0 where the address is none. */
INLINE int choose(struct bpf_sock_addr *context, const struct vip *vip, struct backend *end)
{
	struct service *service = lookup(&services, vip);
	struct pin pin = { .vip = *vip };
	struct flow flow = {};
	struct backend *found;

	if (!service || !service->count)
		return 0;
	pin.socket = socket_cookie(context);
	if (vip->protocol == UDP) {
		/* Datagrams of a socket stay together, as conntrack would keep them, until the endpoint no longer serves. */
		found = lookup(&pins, &pin);
		if (found) {
			struct member member = { .vip = *vip, .end = *found };
			u32 *bits = lookup(&members, &member);

			if (bits && (*bits & SERVING)) {
				*end = *found;
				return 1;
			}
		}
	}
	if (!service->seconds || !stays(context, vip, service, end)) {
		struct slot slot = { .id = service->id, .index = random() % service->count };

		found = lookup(&backends, &slot);
		if (!found)
			return 0;
		*end = *found;
		if (service->seconds)
			stay(context, service, end);
	}
	if (vip->protocol == UDP)
		update(&pins, &pin, end, 0);
	flow.socket = pin.socket;
	flow.end = *end;
	update(&flows, &flow, vip, 0);
	return 1;
}

/* The address that a socket has used for an endpoint. */
INLINE struct vip *used(struct bpf_sock_addr *context, const struct backend *end)
{
	struct flow flow = { .socket = socket_cookie(context), .end = *end };

	return lookup(&flows, &flow);
}

INLINE int carried(u32 protocol)
{
	return protocol == TCP || protocol == UDP;
}

INLINE int to4(struct bpf_sock_addr *context)
{
	struct vip vip = { .address = { context->user_ip4 }, .port = context->user_port, .protocol = context->protocol, .family = 4 };
	struct backend end;

	if (carried(context->protocol) && choose(context, &vip, &end)) {
		context->user_ip4 = end.address[0];
		context->user_port = end.port;
	}
	return 1;
}

INLINE int from4(struct bpf_sock_addr *context)
{
	struct backend end = { .address = { context->user_ip4 }, .port = context->user_port };
	struct vip *vip = used(context, &end);

	if (vip) {
		context->user_ip4 = vip->address[0];
		context->user_port = vip->port;
	}
	return 1;
}

/* ::ffff:10.96.0.1 is IPv4 by an IPv6 socket. */
INLINE int mapped(struct bpf_sock_addr *context)
{
	return !context->user_ip6[0] && !context->user_ip6[1] && context->user_ip6[2] == __builtin_bswap32(0xffff);
}

INLINE int to6(struct bpf_sock_addr *context)
{
	struct vip vip = { .port = context->user_port, .protocol = context->protocol };
	struct backend end;

	if (!carried(context->protocol))
		return 1;
	if (mapped(context)) {
		vip.family = 4;
		vip.address[0] = context->user_ip6[3];
		if (choose(context, &vip, &end)) {
			context->user_ip6[3] = end.address[0];
			context->user_port = end.port;
		}
		return 1;
	}
	vip.family = 6;
	vip.address[0] = context->user_ip6[0];
	vip.address[1] = context->user_ip6[1];
	vip.address[2] = context->user_ip6[2];
	vip.address[3] = context->user_ip6[3];
	if (choose(context, &vip, &end)) {
		context->user_ip6[0] = end.address[0];
		context->user_ip6[1] = end.address[1];
		context->user_ip6[2] = end.address[2];
		context->user_ip6[3] = end.address[3];
		context->user_port = end.port;
	}
	return 1;
}

INLINE int from6(struct bpf_sock_addr *context)
{
	struct backend end = { .port = context->user_port };
	struct vip *vip;

	if (mapped(context)) {
		end.address[0] = context->user_ip6[3];
		vip = used(context, &end);
		if (vip) {
			context->user_ip6[3] = vip->address[0];
			context->user_port = vip->port;
		}
		return 1;
	}
	end.address[0] = context->user_ip6[0];
	end.address[1] = context->user_ip6[1];
	end.address[2] = context->user_ip6[2];
	end.address[3] = context->user_ip6[3];
	vip = used(context, &end);
	if (vip) {
		context->user_ip6[0] = vip->address[0];
		context->user_ip6[1] = vip->address[1];
		context->user_ip6[2] = vip->address[2];
		context->user_ip6[3] = vip->address[3];
		context->user_port = vip->port;
	}
	return 1;
}

SEC("cgroup/connect4") int on_connect4(struct bpf_sock_addr *context) { return to4(context); }
SEC("cgroup/connect6") int on_connect6(struct bpf_sock_addr *context) { return to6(context); }
SEC("cgroup/sendmsg4") int on_sendmsg4(struct bpf_sock_addr *context) { return to4(context); }
SEC("cgroup/sendmsg6") int on_sendmsg6(struct bpf_sock_addr *context) { return to6(context); }
SEC("cgroup/recvmsg4") int on_recvmsg4(struct bpf_sock_addr *context) { return from4(context); }
SEC("cgroup/recvmsg6") int on_recvmsg6(struct bpf_sock_addr *context) { return from6(context); }
SEC("cgroup/getpeername4") int on_getpeername4(struct bpf_sock_addr *context) { return from4(context); }
SEC("cgroup/getpeername6") int on_getpeername6(struct bpf_sock_addr *context) { return from6(context); }

/* A connected UDP socket keeps the endpoint that it was given once. Where that serves its Service no more, what it sends is
 * refused: the program has EPERM, and its next socket is right. Sockets that came by no Service, or by another that the same
 * endpoint still serves, are left alone. */
INLINE int leave(struct packet *packet, u8 family)
{
	struct bpf_sock *socket = packet->socket;
	struct member member = {};
	struct flow flow = {};
	struct vip *vip;
	u32 *bits;

	if (!socket)
		return PASS;
	socket = full_socket(socket);
	if (!socket || socket->protocol != UDP || socket->state != CONNECTED)
		return PASS;
	if (socket->family == INET) {
		flow.end.address[0] = socket->dst_ip4;
	} else if (socket->family == INET6) {
		u32 first = socket->dst_ip6[0], second = socket->dst_ip6[1], third = socket->dst_ip6[2], fourth = socket->dst_ip6[3];

		if (!first && !second && third == __builtin_bswap32(0xffff)) {
			flow.end.address[0] = fourth;
		} else {
			flow.end.address[0] = first;
			flow.end.address[1] = second;
			flow.end.address[2] = third;
			flow.end.address[3] = fourth;
		}
	} else {
		return PASS;
	}
	flow.end.port = socket->dst_port;
	flow.socket = socket_cookie(packet);
	vip = lookup(&flows, &flow);
	if (!vip || vip->family != family)
		return PASS;
	member.vip = *vip;
	member.end = flow.end;
	bits = lookup(&members, &member);
	return bits && (*bits & SERVING) ? PASS : DROP;
}

SEC("cgroup_skb/egress4") int on_egress4(struct packet *packet) { return leave(packet, 4); }
SEC("cgroup_skb/egress6") int on_egress6(struct packet *packet) { return leave(packet, 6); }

char terms[] SEC("license") = "GPL"; /* the cookies are for programs under it */
