import { describe, expect, it } from "vitest";
import { otherHost } from "../../src/markdown/address";

const EVIL = "https://evil.example/";

describe("a link whose text has the address of another place says where it leads", () => {
  it.each([
    "bank.com",
    "www.bank.com",
    "https://bank.com/x",
    "https://bank.com:443/x",
    "hxxps://bank.com",
    "https://bank.com@evil.example/",
    "https://bank.com\\@evil.example/",
    "Visit https://bank.com/",
    "bank.com login",
    "(bank.com)",
    "evil.example or bank.com",
    "https:// bank.com",
    "https://www.bank.com.",
    "\u200Bhttps://bank.com",
    "bank\u200B.com",
    "bank\u3002com",
    "bank\uFF0Ecom",
    "https://192.168.0.1/",
    "https://[::1]/",
    "https://localhost/",
    "mail@bank.com",
    "b\u00FCcher.de",
  ])("%j", (text) => {
    expect(otherHost(EVIL, text)).toBe("evil.example");
  });

  it("also with a port", () => {
    expect(otherHost("https://evil.example:8443/", "bank.com")).toBe("evil.example:8443");
  });
});

describe("a link whose text has no other address says nothing more", () => {
  it.each([
    ["https://x.org/", "https://x.org/"],
    ["https://x.org/main.py?a=b.com", "https://x.org/main.py?a=b.com"],
    ["https://www.x.org/", "x.org"],
    ["https://x.org/", "See https://www.x.org."],
    ["https://x.org/", "(x.org)"],
    ["https://x.org/", "https://x.org:443/a"],
    ["https://192.168.0.1/", "http://192.168.0.1/"],
    ["http://[::1]:8888/", "http://[::1]:8888/"],
    ["https://x.org/", "the docs, e.g. of version 1.2.3"],
    ["https://x.org/", ""],
    ["mailto:c@x.org", "c@x.org"],
  ])("%s: %s", (href, text) => {
    expect(otherHost(href, text)).toBe("");
  });

  it("however long it is", () => {
    for (const text of ["a.".repeat(50_000), "a-".repeat(50_000), "a://".repeat(50_000)]) {
      expect(otherHost("https://x.org/", text)).toBeTypeOf("string");
    }
  });
});
