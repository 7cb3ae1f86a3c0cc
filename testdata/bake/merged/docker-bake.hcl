variable "TAG" { default = "first" }
group "default" { targets = ["app"] }
target "app" {
  tags = ["example:${TAG}"]
  args = { A = "first", B = "first" }
  labels = { l = "first" }
}
