variable "TAG" {
  default     = "latest"
  description = "what it is called"
}
variable "NUMBER" { default = 3 }
variable "SWITCH" { default = true }
variable "NAMES" {
  type    = list(string)
  default = ["a", "b"]
}
variable "PAIRS" {
  type    = map(string)
  default = {}
}
variable "NOTHING" {}
variable "DERIVED" { default = "pre-${TAG}-${NUMBER + 1}" }
FROM_ATTRIBUTE = "global-${DERIVED}"

target "default" {
  args = {
    tag      = TAG
    number   = NUMBER * 2
    switch   = SWITCH ? "on" : "off"
    names    = join("|", NAMES)
    pair     = lookup(PAIRS, "k", "none")
    nothing  = "[${NOTHING}]"
    global   = FROM_ATTRIBUTE
    platform = equal(BAKE_LOCAL_PLATFORM, "") ? "none" : "some"
  }
  context = BAKE_CMD_CONTEXT
}
