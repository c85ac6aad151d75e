"""综合服务: the requests of enterprises, who acts on them, and by when."""
