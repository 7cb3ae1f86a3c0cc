variable "LIST" {
  type    = list(object({ name = string, tag = optional(string) }))
  default = []
}
target "default" {
  args = { for one in LIST : one.name => one.tag == null ? "none" : one.tag }
}
