target "base" {
  dockerfile   = "base.Dockerfile"
  tags         = ["example/base"]
  entitlements = ["network.host"]
}
target "app" {
  contexts = {
    base   = "target:base"
    alpine = "docker-image://alpine:3"
    files  = "./files"
    none   = ""
  }
}
