// Who is there. A token that was typed is kept in the memory of this page and nowhere else.

let token = null;
let me = null;
const watchers = new Set();

function tell() {
  for (const watcher of watchers) watcher();
}

async function ask(path) {
  const response = await fetch(path, { headers: session.headers(), credentials: "same-origin" });
  return { status: response.status, body: response.ok ? await response.json() : null };
}

export const session = {
  /** Whether a login is needed before anything can be shown. */
  needed: false,

  /** Who it is, as the server knows; null where it does not say. */
  get me() {
    return me;
  },

  /**
   * The role that is missing for something that needs it, in words; null where it may be asked for. Without a customer
   * it is needed for all of them. The server decides; this only keeps what it would refuse from being offered.
   */
  lacks(role, customer = null) {
    if (!me) return null;
    const may = me.grants.some((grant) => (grant.role === role || grant.role === "admin")
      && (grant.customers === null || grant.customers.includes(customer)));
    return may ? null : `the role ${role} for ${customer ?? "all customers"}`;
  },

  /** What each request brings. */
  headers() {
    return token ? { authorization: `Bearer ${token}` } : {};
  },

  /** What a write brings beside that, so that it cannot come from a page of somebody else. */
  proof() {
    return me?.csrf ? { "x-csrf-token": me.csrf } : {};
  },

  /** Asks who it is. True where something can be shown. */
  async start() {
    const answer = await ask("/api/v1/me").catch(() => ({ status: 0 }));
    me = answer.status === 200 ? answer.body : null;
    this.needed = answer.status === 401;
    tell();
    return !this.needed;
  },

  /** Which ways there are to log in. */
  async ways() {
    const answer = await ask("/api/v1/login").catch(() => ({ status: 0 }));
    return answer.body ?? { local: false, browser: false, device: null };
  },

  /** Tries a token. */
  async use(text) {
    token = text;
    const ok = await this.start();
    if (!ok) token = null;
    return ok;
  },

  /** The server does not know this caller any more. */
  lost() {
    if (this.needed) return;
    this.needed = true;
    tell();
  },

  /** Leaves. */
  async leave() {
    if (token) token = null;
    else await fetch("/auth/logout", { method: "POST", headers: this.proof(), credentials: "same-origin" }).catch(() => null);
    me = null;
    this.needed = true;
    tell();
  },

  /** Whether there is something to leave. */
  get canLeave() {
    return Boolean(token) || me?.via === "session";
  },

  onchange(watcher) {
    watchers.add(watcher);
  },
};
