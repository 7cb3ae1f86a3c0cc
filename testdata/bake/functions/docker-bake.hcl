function "increment" {
  params = [number]
  result = number + 1
}
function "tags" {
  params          = [name]
  variadic_params = more
  result          = [for tag in concat(["latest"], more) : "${name}:${tag}"]
}
variable "PREFIX" { default = "p" }
function "prefixed" {
  params = [text]
  result = "${PREFIX}-${upper(text)}"
}
target "default" {
  tags = tags("example", "1", "2")
  args = {
    increment  = increment(increment(1))
    prefixed   = prefixed("x")
    add        = add(1.5, 2)
    divide     = 7 / 2
    modulo     = 7 % 3
    big        = 1000000 * 1000000
    negative   = -(3 - 5) * 2
    text       = "${lower("ABC")}${title("some words")}${strlen("äb")}"
    trim       = trimspace("  x ") == "x" && trimprefix("v1.2", "v") == "1.2"
    split      = join(",", reverselist(split("-", "a-b-c")))
    replace    = replace("a.b.c", ".", "_")
    substr     = substr("hello", 1, 3)
    regex      = regex("[a-z]+", "123abc")
    regexrep   = regex_replace("hello world", "o", "0")
    format     = format("%s-%03d-%.2f-%t-%q", "x", 7, 1.5, true, "y")
    formatlist = join(" ", formatlist("<%s>", ["a", "b"]))
    coalesce   = coalesce("", "x")
    keys       = join(",", keys({ b = 1, a = 2 }))
    merge      = jsonencode(merge({ a = 1 }, { b = [true, null] }))
    length     = length([1, 2, 3])
    contains   = contains(["a"], "a")
    flatten    = join(",", flatten([["a"], ["b", ["c"]]]))
    range      = join(",", range(3))
    sort       = join(",", sort(["b", "a"]))
    distinct   = join(",", distinct(["a", "b", "a"]))
    max        = max(1, 3, 2)
    sha256     = sha256("x")
    sha1       = sha1("x")
    md5        = md5("x")
    base64     = base64encode("hello")
    url        = urlencode("a b&c/d")
    try        = try(nothing.at.all, "fallback")
    can        = can(1 / "x")
    sanitize   = sanitize("a.b/c d")
    basename   = basename("/a/b.c")
    dirname    = dirname("/a/b.c")
    timeadd    = timeadd("2026-01-01T00:00:00Z", "1h30m")
    chunk      = jsonencode(chunklist([1, 2, 3], 2))
    zipmap     = jsonencode(zipmap(["a", "b"], [1, 2]))
    product    = jsonencode(setproduct(["a", "b"], [1, 2]))
    indexof    = indexof(["a", "b"], "b")
    parse      = parseint("ff", 16)
    csv        = csvdecode("a,b\n1,2\n")[0].b
    compact    = join(",", compact(["", "a", ""]))
    slice      = join(",", slice(["a", "b", "c"], 1, 3))
    element    = element(["a", "b"], 3)
    values     = join(",", values({ b = "1", a = "2" }))
  }
}
