// Small texts that this browser keeps beside the conversations. Where it keeps nothing, the page works without.

/** Return what is kept under a name, or "". */
export function kept(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return ""; // storage is blocked
  }
}

/** Keep a text; returns whether that worked. */
export function keepText(name, text) {
  try {
    localStorage.setItem(name, text);
    return true;
  } catch {
    return false; // blocked, or full
  }
}
