target "default" {
  cache-from = [
    "user/app:cache",
    { type = "local", src = "cache" },
    "type=gha,scope=main",
    "",
  ]
  cache-to = [{ type = "inline" }, "type=registry,ref=r.example/x,mode=max"]
  output   = ["type=image,\"name=a,b\",push=true", "out", { type = "oci", dest = "../out.tar" }]
  secret   = [{ id = "two", env = "HOME" }, "type=env,id=three,src=PATH"]
  attest   = [{ type = "sbom", generator = "x" }, "type=sbom,disabled=true"]
}
